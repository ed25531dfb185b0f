"""A model rewritten for inference: the same function with fewer operations."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.folding import Foldable


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
