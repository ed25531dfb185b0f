"""What parts of a network are made of when they are folded for inference."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn


class Foldable(nn.Module):
    """A part that can do its work with fewer operations when nothing is learnt any more."""

    @abstractmethod
    def folded(self) -> nn.Module:
        """The same function up to float rounding, for inference only; may be this module, changed."""


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies each channel with, and then adds."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """A 1×1 conv; weight: outputs×inputs."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight = nn.Parameter(weight[:, :, None, None].contiguous())
    if bias is not None:
        conv.bias = nn.Parameter(bias)
    return conv


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.contiguous()), nn.Parameter(bias)
    return layer
