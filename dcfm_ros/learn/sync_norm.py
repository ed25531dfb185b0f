"""Batch norm over the batches of all processes, on CPUs too (torch's own SyncBatchNorm is for GPUs alone)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SyncBatchNorm(nn.BatchNorm2d):
    """Normalises by mean and variance over every process's part of the batch; the parts are equally large."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        mean = _mean_over_processes(values.mean((0, 2, 3)))
        centered = values - mean.view(1, -1, 1, 1)
        variance = _mean_over_processes(centered.square().mean((0, 2, 3)))
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1] * dist.get_world_size())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centered * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)


def synchronise_norms(module: nn.Module) -> None:
    """Replaces each BatchNorm2d inside `module`; parameters and statistics stay the same objects."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            synced = SyncBatchNorm(child.num_features, child.eps, child.momentum)
            synced.weight, synced.bias = child.weight, child.bias
            for buffer in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(synced, buffer, getattr(child, buffer))
            setattr(module, name, synced.train(child.training))
        else:
            synchronise_norms(child)


class _Sum(torch.autograd.Function):
    """The sum over all processes; what each of them does with it comes back to everyone."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _mean_over_processes(value: Tensor) -> Tensor:
    mean: Tensor = _Sum.apply(value) / dist.get_world_size()
    return mean
