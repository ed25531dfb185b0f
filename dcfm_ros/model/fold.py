"""A model rewritten for inference: the same function with fewer operations."""

from __future__ import annotations

import copy
import functools
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcfm_ros.model.backbones.mit import Attention, to_map, to_tokens
from dcfm_ros.model.backbones.resnet import BasicBlock, Bottleneck
from dcfm_ros.model.dcfm import DCFM, Fusion
from dcfm_ros.model.heads import PYRAMID_BINS, Head, LightHead, PyramidPooling, SegFormerHead, resize


def fold(model: DCFM) -> DCFM:
    """A copy, for inference only, whose methods return the same numbers up to float rounding.

    Batch norms are folded into the convs before them; of the deep head and the fusion, what is linear is one conv per
    input; attention with one head takes its output projection into the values; and `encode_independent` takes R, G, B
    0-255 less the card's 255 × mean, so that zero padding means what it did.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
        elif isinstance(module, (BasicBlock, Bottleneck)):
            _fold_block(module)
        for name, child in list(module.named_children()):
            if isinstance(child, Attention) and child.heads == 1:
                setattr(module, name, OneHeadAttention(child))
    _fold_head(folded)
    folded.fusion = FoldedFusion(folded.fusion)  # type: ignore[assignment]
    _fold_normalisation(folded)
    return folded.requires_grad_(False)


def _fold_sequence(sequence: nn.Sequential) -> None:
    for i in range(len(sequence) - 1):
        conv, norm = sequence[i], sequence[i + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[i], sequence[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def _fold_block(block: BasicBlock | Bottleneck) -> None:
    for i in (1, 2, 3):
        conv, norm = getattr(block, f"conv{i}", None), getattr(block, f"bn{i}", None)
        if conv is not None and norm is not None:
            setattr(block, f"conv{i}", fuse_conv_bn_eval(conv, norm))
            setattr(block, f"bn{i}", nn.Identity())


def _fold_head(model: DCFM) -> None:
    if isinstance(model.head, SegFormerHead):
        model.head = FoldedSegFormerHead(model.head)
    elif isinstance(model.head, LightHead):
        scale, shift = scale_and_shift(model.head.norm)
        model.head.coarse = pointwise(model.head.coarse.weight[:, :, 0, 0] * scale[:, None])
        model.head.fine = pointwise(model.head.fine.weight[:, :, 0, 0] * scale[:, None], shift)
        model.head.norm = nn.Identity()  # type: ignore[assignment]
    elif isinstance(model.head, PyramidPooling):
        for i in range(len(PYRAMID_BINS)):
            conv, norm = model.head.convs[i], model.head.norms[i]
            model.head.convs[i] = fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm))
            model.head.norms[i] = nn.Identity()
        if isinstance(model.reduce, nn.Conv2d):
            model.head = ReducedPyramid(model.head, model.reduce)
            model.reduce = nn.Identity()


def _fold_normalisation(model: DCFM) -> None:
    """(rgb / 255 - mean) / std == (rgb - 255 mean) * scale: the scale goes into the first conv."""
    first = next(module for module in model.backbone.modules() if isinstance(module, nn.Conv2d))
    scale = 1 / (255 * torch.tensor(model.card.std, device=first.weight.device))
    first.weight = nn.Parameter(first.weight * scale[:, None, None])


class OneHeadAttention(nn.Module):
    """`Attention` with one head: its output projection acts on the few values, not on every token.

    softmax(...) V W + b = softmax(...) (V W + b), since the rows of the softmax sum to one.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.q, self.sr, self.norm = attention.q, attention.sr, attention.norm
        out = attention.proj
        (key, value), (key_bias, value_bias) = attention.kv.weight.chunk(2), attention.kv.bias.chunk(2)
        self.key = linear(key, key_bias)
        self.value = linear(out.weight @ value, out.weight @ value_bias + out.bias)

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        reduced = self.norm(to_tokens(self.sr(to_map(tokens, size))))
        q, k, v = (x.unsqueeze(1) for x in (self.q(tokens), self.key(reduced), self.value(reduced)))
        return F.scaled_dot_product_attention(q, k, v).squeeze(1)


class FoldedSegFormerHead(Head):
    """`SegFormerHead` with one 1×1 conv per scale."""

    def __init__(self, head: SegFormerHead) -> None:
        super().__init__()
        self.steps = head.steps
        scale, shift = scale_and_shift(head.norm)
        convs = []
        for fuse, module in zip(head.slices(), head.projections, strict=True):
            projection = cast(nn.Linear, module)
            fused = fuse * scale[:, None]
            convs.append(pointwise(fused @ projection.weight, fused @ projection.bias))
        finest = convs[0]
        assert finest.bias is not None
        finest.bias = nn.Parameter(finest.bias + shift)
        self.convs = nn.ModuleList(convs)

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        if i == len(self.convs):
            assert before is not None
            return F.relu(before)
        part = resize(self.convs[i](features[i]), features[0])
        return part if before is None else before + part


class ReducedPyramid(Head):
    """`PyramidPooling` and the linear reduction after it: each context is reduced where it is small, then upsampled."""

    def __init__(self, head: PyramidPooling, reduce: nn.Conv2d) -> None:
        super().__init__()
        self.contexts = head.convs
        widths = [cast(nn.Conv2d, conv).out_channels for conv in head.convs]
        parts = reduce.weight[:, :, 0, 0].split([reduce.in_channels - sum(widths), *widths], dim=1)
        self.reduces = nn.ModuleList([pointwise(part) for part in parts])

    def step(self, i: int, features: tuple[Tensor, ...], before: Tensor | None) -> Tensor:
        (x,) = features
        total = self.reduces[0](x)
        for bins, context, reduce in zip(PYRAMID_BINS, self.contexts, self.reduces[1:], strict=True):
            pooled = reduce(F.relu(context(pool(x, bins))))
            total = total + F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True)
        return total


def pool(x: Tensor, bins: int) -> Tensor:
    """`F.adaptive_avg_pool2d` as two matrix products, which ONNX can say for any size."""
    height, width = (bin_weights(int(side), bins, x.dtype, x.device) for side in x.shape[2:])
    return height @ x @ width.T


@functools.lru_cache(maxsize=64)
def bin_weights(inputs: int, bins: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """bins×inputs: each row averages its bin. Kept, since a CUDA graph cannot bring them to the GPU."""
    weights = np.zeros((bins, inputs), np.float32)
    for i in range(bins):
        begin, end = i * inputs // bins, -(-(i + 1) * inputs // bins)
        weights[i, begin:end] = 1 / (end - begin)
    with torch.inference_mode(False):  # other callers may want gradients
        return torch.from_numpy(weights).to(device, dtype)


class FoldedFusion(nn.Module):
    """`Fusion` as two convs, whose sum it is."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        scale, shift = scale_and_shift(fusion.norm)
        assert fusion.conv.bias is not None
        weight = fusion.conv.weight[:, :, 0, 0] * scale[:, None]
        self.common_half = pointwise(weight[:, : fusion.common_channels], fusion.conv.bias * scale + shift)
        self.independent_half = pointwise(weight[:, fusion.common_channels :])

    def forward(self, common: Tensor, independent: Tensor) -> Tensor:
        return self.common_half(common) + self.independent_half(independent)


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
