"""Optimiser, learning rate over the steps, and the running average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

from dcfm_lab.learn.config import OptimConfig
from dcfm_ros.model.dcfm import DCFM


def build_optimiser(model: DCFM, config: OptimConfig) -> torch.optim.Optimizer:
    """Four groups: backbone and head, each with and without weight decay (none on norms and biases)."""
    groups = []
    for of_backbone in (True, False):
        for decays in (True, False):
            parameters = [
                parameter
                for name, parameter in model.named_parameters()
                if name.startswith("backbone.") == of_backbone and (parameter.ndim > 1) == decays
            ]
            lr = config.lr * (config.backbone_lr_ratio if of_backbone else 1.0)
            decay = config.weight_decay if decays else 0.0
            groups.append({"params": parameters, "lr": lr, "weight_decay": decay})
    if config.name == "sgd":
        return torch.optim.SGD(groups, config.lr, config.momentum)
    return torch.optim.AdamW(groups, config.lr)


class Schedule:
    """Learning rates over the steps: poly decay, (1 - step / steps)^power, down to `min_lr`, times a linear warm-up.

    A function of the step alone, so a resumed training may be given other rates or steps.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, steps: int, config: OptimConfig) -> None:
        self.optimiser, self.steps, self.config = optimiser, steps, config
        self.bases = [group["lr"] for group in optimiser.param_groups]

    def rate(self, base: float, step: int) -> float:
        """The learning rate at `step` (from 0) of a group whose rate is `base`."""
        config = self.config
        decay = max(1 - step / self.steps, 0.0) ** config.poly_power
        warm = min(step / config.warmup_steps, 1.0) if config.warmup_steps else 1.0
        return ((base - config.min_lr) * decay + config.min_lr) * (
            config.warmup_ratio + (1 - config.warmup_ratio) * warm
        )

    def set(self, step: int) -> None:
        for group, base in zip(self.optimiser.param_groups, self.bases, strict=True):
            group["lr"] = self.rate(base, step)


class Average:
    """Exponential moving average of a model's weights and statistics; with decay 0, a copy of them."""

    def __init__(self, model: DCFM, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        # The average of few steps must not remember the random beginning.
        decay = min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
