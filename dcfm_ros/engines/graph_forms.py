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
    """`MixMlp` with its first linear layer as a 1×1 conv, beside the conv that follows."""

    def __init__(self, mlp: MixMlp) -> None:
        super().__init__()
        self.fc1 = pointwise(mlp.fc1.weight, mlp.fc1.bias)
        self.dwconv, self.fc2 = mlp.dwconv, mlp.fc2

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        return self.fc2(to_tokens(F.gelu(self.dwconv(self.fc1(to_map(tokens, size))))))
