"""Parts of a folded model in the form that libraries run fastest: the same functions, for export only.

Transformer blocks change between tokens, N×hw×C, and maps, N×C×h×w. On CPUs both lie channel-last in memory, and libraries
see that `to_map` and `to_tokens` change nothing there; other ways to say the same they copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model import DCFM
from dcfm_ros.model.backbones.mit import Attention, MixMlp, to_map, to_tokens
from dcfm_ros.model.fold import OneHeadAttention, linear, pointwise
from dcfm_ros.model.heads import resize

MOST_BYTES = 10_000_000
"""Of a float32 map that is better kept in one piece."""


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
    """`model.logits_prepared` of a folded model, with maps N×h×w×C channel-last; returns N×classes×h×w.

    The normalisation before the classifier is one factor per pixel, and a classifier without bias, ReLU or neighbours
    leaves it to after it, where there are fewer channels.
    """
    unit = channel_first(F.normalize(independent, dim=-1)[..., : model.independent_channels])
    prepared = channel_first(prepared)
    half = model.fusion.independent_half(resize(unit, prepared))
    fused = F.relu(prepared + half)
    if model.config.classifier != "linear":
        return model.classify(F.normalize(fused, dim=1))
    length = fused.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return model.classify(fused) * (1 / length)


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
        q, k, v = (x.unsqueeze(1) for x in (tokens, self.key(reduced), self.value(reduced)))
        return F.scaled_dot_product_attention(
            q, k, v, self.lean(reduced).transpose(1, 2).unsqueeze(1)
        ).squeeze(1)


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
        while 4 * self.fc1.out_channels * size[-2] * size[-1] > pieces * MOST_BYTES:
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
