"""A model rewritten for inference, the same function with fewer operations; and what its parts are folded with."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from dcfm_ros.model.dcfm import DCFM


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


def fold(model: DCFM) -> DCFM:
    """A copy, for inference only, whose methods return the same numbers up to float rounding.

    Batch norms are folded into the convs before them; of the deep head and the fusion, what is linear is one conv per
    input; attention with one head takes its output projection into the values; and `encode_independent` takes R, G, B
    0-255 less the card's 255 × mean, so that zero padding means what it did. Each part says how it is folded.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
        for name, child in list(module.named_children()):
            if isinstance(child, Foldable):
                setattr(module, name, child.folded())
    if isinstance(folded.reduce, nn.Conv2d) and (reduced := folded.head.reduced(folded.reduce)):
        folded.head, folded.reduce = reduced, nn.Identity()
    _fold_normalisation(folded)
    return folded.requires_grad_(False)


def _fold_sequence(sequence: nn.Sequential) -> None:
    for i in range(len(sequence) - 1):
        conv, norm = sequence[i], sequence[i + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[i], sequence[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def _fold_normalisation(model: DCFM) -> None:
    """(rgb / 255 - mean) / std == (rgb - 255 mean) * scale: the scale goes into the first conv."""
    first = next(module for module in model.backbone.modules() if isinstance(module, nn.Conv2d))
    scale = 1 / (255 * torch.tensor(model.card.std, device=first.weight.device))
    first.weight = nn.Parameter(first.weight * scale[:, None, None])
