"""Parts of a folded model in the form that CPUs and libraries run fastest: the same functions, for inference only.

Transformer blocks change between tokens, N×hw×C, and maps, N×C×h×w. On CPUs both lie channel-last in memory, and libraries
see that `to_map` and `to_tokens` change nothing there; other ways to say the same they copy.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbones.mit import Attention, MixMlp, OneHeadAttention, to_map, to_tokens
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.fold import linear, pointwise
from dcfm_ros.model.heads import MIN_LENGTH, resize, unit

MAX_BYTES = 10_000_000
"""Size of a float32 map that is better kept in one piece."""
KEYS_AT_ONCE = 16
"""Float32 numbers in the widest vector registers: other numbers of keys end in slower code for the rest."""
UNSEEN = -6e4
"""What a token makes of a key that is none: no share in the softmax. The largest that half precision has is 65504."""


def use_graph_forms(model: nn.Module) -> None:
    """Rewrites the transformer blocks of a model for inference, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Attention) and child.heads == 1:
                child = OneHeadAttention(child)
            if isinstance(child, OneHeadAttention):
                setattr(module, name, QueryFreeAttention(child).requires_grad_(False))
            elif isinstance(child, MixMlp):
                setattr(module, name, MapMlp(child).requires_grad_(False))


def fused_logits(model: DCFM, prepared: Tensor, independent: Tensor) -> Tensor:
    """`model.logits_prepared` of a folded model, on features as N×h×w×C; returns N×h×classes×w, as label maps read them.

    prepared: what `prepare_common` returned. Where it `is_pointwise`, any rows of both features give theirs of the logits.
    """
    if is_pointwise(model):
        return _products(model, prepared, independent)
    used = unit(independent, -1)[..., : model.independent_channels]
    common = channel_first(prepared)
    fused = F.relu(common + model.fusion.independent_half(resize(channel_first(used), common)))
    return model.classify(unit(fused)).transpose(1, 2)


def is_pointwise(model: DCFM) -> bool:
    """Whether a pixel's logits come from that pixel of both features alone."""
    backbone = model.backbone
    return model.config.classifier != "conv" and backbone.deep[0].stride == backbone.independent.stride


def _products(model: DCFM, prepared: Tensor, independent: Tensor) -> Tensor:
    """Features × weights. What normalises a feature, one factor per pixel, waits until its product is read anyway."""
    used = independent[..., : model.independent_channels]
    product = used @ _weight(model.fusion.independent_half).T
    fused = F.relu(torch.addcmul(prepared, product, factor(independent, -1)))
    layers = [layer for layer in model.classifier if isinstance(layer, nn.Conv2d)]
    logits = fused @ _weight(layers[0]).T * factor(fused, -1)
    if layers[1:]:
        assert layers[0].bias is not None
        logits = F.relu(logits + layers[0].bias) @ _weight(layers[1]).T
    if model.grouping is not None:
        logits = model.grouping(logits, -1)
    return logits.transpose(2, 3)


def _weight(pointwise: object) -> Tensor:
    """The weight of a 1×1 conv, outputs×inputs."""
    return cast(nn.Conv2d, pointwise).weight[:, :, 0, 0]


def factor(feature: Tensor, channels: int = 1) -> Tensor:
    """What normalises a feature over its channels, which are that dimension; they become one."""
    return 1 / feature.norm(dim=channels, keepdim=True).clamp_min(MIN_LENGTH)


def channel_last(x: Tensor) -> Tensor:
    """N×C×h×w -> N×h×w×C."""
    return to_tokens(x).unflatten(1, x.shape[2:])


def channel_first(x: Tensor) -> Tensor:
    """N×h×w×C -> N×C×h×w."""
    return to_map(x.flatten(1, 2), x.permute(0, 3, 1, 2).shape)


class QueryFreeAttention(nn.Module):
    """`OneHeadAttention` whose query projection acts on the few keys, not on every token.

    (W x + b)·k = x·(Wᵀ k) + b·k, of which the second is one number per key; what all keys have in common of it drops out
    of the softmax.
    """

    def __init__(self, attention: OneHeadAttention) -> None:
        super().__init__()
        self.sr, self.norm, self.value = attention.sr, attention.norm, attention.value
        query, key = attention.q, attention.key
        self.key = linear(query.weight.T @ key.weight, query.weight.T @ key.bias)
        scale = query.weight.shape[0] ** -0.5
        self.lean = linear(scale * query.bias[None] @ key.weight, torch.zeros(1))

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        reduced = self.norm(to_tokens(self.sr(to_map(tokens, size))))
        more = -reduced.shape[1] % KEYS_AT_ONCE
        key, value = (F.pad(x, (0, 0, 0, more)) for x in (self.key(reduced), self.value(reduced)))
        lean = F.pad(self.lean(reduced), (0, 0, 0, more), value=UNSEEN)
        q, k, v = (x.unsqueeze(1) for x in (tokens, key, value))
        return F.scaled_dot_product_attention(q, k, v, lean.transpose(1, 2).unsqueeze(1)).squeeze(1)


class MapMlp(nn.Module):
    """`MixMlp` with its linear layers as 1×1 convs, and its hidden channels in pieces, which do not depend on each other.

    At a quarter of the image's size the hidden map is many times larger than a processor's caches; a piece is written,
    convolved and summed up while it is still there.
    """

    def __init__(self, mlp: MixMlp) -> None:
        super().__init__()
        self.fc1 = pointwise(mlp.fc1.weight, mlp.fc1.bias)
        self.dwconv = mlp.dwconv
        self.fc2 = pointwise(mlp.fc2.weight, mlp.fc2.bias)

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        x = to_map(tokens, size)
        pieces = 1
        while 4 * self.fc1.out_channels * size[-2] * size[-1] > pieces * MAX_BYTES:
            pieces *= 2
        assert self.fc1.bias is not None and self.dwconv.bias is not None
        weights = (self.fc1.weight, self.fc1.bias, self.dwconv.weight, self.dwconv.bias)
        total, bias = None, self.fc2.bias
        for w1, b1, kernel, b2, w2 in zip(
            *(weight.chunk(pieces) for weight in weights), self.fc2.weight.chunk(pieces, 1), strict=True
        ):
            hidden = F.gelu(F.conv2d(F.conv2d(x, w1, b1), kernel, b2, padding=1, groups=len(w1)))
            part = F.conv2d(hidden, w2, bias)
            total, bias = part if total is None else total + part, None
        assert total is not None
        return to_tokens(total)
