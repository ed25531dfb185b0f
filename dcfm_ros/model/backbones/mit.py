"""Mix Transformer encoders MiT-B0 to B5 (SegFormer, arXiv 2105.15203, section 3.1 and table 6)."""

from __future__ import annotations

import re
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbones.base import (
    Backbone,
    BackboneSpec,
    Chain,
    FeatureInfo,
    Layer,
    Layout,
    Tensors,
    rename,
)
from dcfm_ros.model.fold import Foldable, linear
from dcfm_ros.model.heads import SegFormerHead

SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "mit_b0": ((32, 64, 160, 256), (2, 2, 2, 2)),
    "mit_b1": ((64, 128, 320, 512), (2, 2, 2, 2)),
    "mit_b2": ((64, 128, 320, 512), (3, 4, 6, 3)),
    "mit_b3": ((64, 128, 320, 512), (3, 4, 18, 3)),
    "mit_b4": ((64, 128, 320, 512), (3, 8, 27, 3)),
    "mit_b5": ((64, 128, 320, 512), (3, 6, 40, 3)),
}
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
STRIDES = (4, 8, 16, 32)
MLP_RATIO = 4
DONE = {"patch_embedding": 1, "first_block": 2}
"""How many of the first stage's layers an independent feature has been through; "stage": all of them."""


class MixTransformer(Backbone):
    """Four stages of transformer blocks at strides 4, 8, 16 and 32."""

    def __init__(self, name: str, independent_feature: str, drop_path: float = 0.0) -> None:
        super().__init__()
        widths, depths = SIZES[name]
        rates = torch.linspace(0, drop_path, sum(depths), device="cpu").tolist()
        stages = []
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            first = sum(depths[:i])
            previous = 3 if i == 0 else widths[i - 1]
            stages.append(
                Stage(previous, width, HEADS[i], REDUCTIONS[i], i == 0, rates[first : first + depth])
            )
        self.stages = nn.ModuleList(stages)
        self.deep = tuple(FeatureInfo(width, stride) for width, stride in zip(widths, STRIDES, strict=True))
        self.independent = self.deep[0]
        self.independent_feature = independent_feature

    def encode_shallow(self, x: Tensor) -> Tensor:
        layers = self._first_stage().layers()
        for layer in layers[: DONE.get(self.independent_feature)]:
            x = layer(x)
        return x

    def resume(self, independent: Tensor) -> tuple[list[Tensor], Tensor]:
        return [independent] if self.independent_feature == "stage" else [], independent

    def deep_layers(self) -> list[list[Layer]]:
        later: list[list[Layer]] = [[stage] for stage in self.stages[1:]]
        if self.independent_feature == "stage":
            return later
        return [self._first_stage().layers()[DONE[self.independent_feature] :], *later]

    def _first_stage(self) -> Stage:
        return cast(Stage, self.stages[0])


class Stage(Chain):
    """Overlapping patch embedding, transformer blocks, layer norm. Maps are N×C×h×w at every border."""

    def __init__(
        self, previous: int, width: int, heads: int, reduction: int, first: bool, drop_path: list[float]
    ) -> None:
        super().__init__()
        self.embed = PatchEmbedding(previous, width, *((7, 4) if first else (3, 2)))
        self.blocks = nn.ModuleList([Block(width, heads, reduction, rate) for rate in drop_path])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def layers(self) -> list[Layer]:
        return [self.embed, *self.blocks, self.normalise]

    def normalise(self, x: Tensor) -> Tensor:
        return to_map(self.norm(to_tokens(x)), x.shape)


class PatchEmbedding(nn.Module):
    def __init__(self, previous: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(previous, width, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)
        return to_map(self.norm(to_tokens(x)), x.shape)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, reduction)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MixMlp(width, width * MLP_RATIO)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape
        tokens = to_tokens(x)
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens), size))
        tokens = tokens + self.drop_path(self.mlp(self.norm2(tokens), size))
        return to_map(tokens, size)


class Attention(Foldable):
    """Self-attention whose keys and values are spatially reduced (SegFormer, equation 2)."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = reduction
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        n, _, width = tokens.shape
        reduced = tokens
        if self.reduction > 1:
            reduced = self.norm(to_tokens(self.sr(to_map(tokens, size))))
        q = self.q(tokens).view(n, -1, self.heads, width // self.heads).transpose(1, 2)
        kv = self.kv(reduced).view(n, -1, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, kv[0], kv[1])
        return self.proj(mixed.transpose(1, 2).reshape(n, -1, width))

    def folded(self) -> nn.Module:
        return OneHeadAttention(self) if self.heads == 1 else self


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


class MixMlp(nn.Module):
    """Two linear layers with a 3×3 depth-wise conv between them (SegFormer, equation 3)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, size: torch.Size) -> Tensor:
        hidden = self.dwconv(to_map(self.fc1(tokens), size))
        return self.fc2(F.gelu(to_tokens(hidden)))


class DropPath(nn.Module):
    """Stochastic depth: drops the whole residual branch of a sample while training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0 or not self.training:
            return x
        keep = 1 - self.rate
        return x * x.new_empty(x.shape[0], 1, 1).bernoulli_(keep).div_(keep)


def to_tokens(x: Tensor) -> Tensor:
    """N×C×h×w -> N×hw×C."""
    return x.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, size: torch.Size) -> Tensor:
    """N×hw×C -> N×C×h×w; only the last two numbers of `size` count."""
    return tokens.transpose(1, 2).unflatten(2, (size[-2], size[-1]))


SEGFORMER_RULES = (
    (r"patch_embed(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.embed."),
    (
        r"block(\d)\.(\d+)\.(.*?)(dwconv\.)?(?=(dwconv|[a-z0-9_]+)\.(weight|bias)$)",
        lambda m: f"stages.{int(m[1]) - 1}.blocks.{m[2]}.{m[3]}",
    ),
    (r"norm(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.norm."),
)


def from_segformer(tensors: Tensors) -> Tensors:
    return rename(tensors, SEGFORMER_RULES, "MiT encoder")


HUGGING_FACE_RULES = (
    (r"^(segformer\.)?encoder\.", ""),
    (r"^patch_embeddings\.(\d)\.proj", r"stages.\1.embed.proj"),
    (r"^patch_embeddings\.(\d)\.layer_norm", r"stages.\1.embed.norm"),
    (r"^block\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"^layer_norm\.(\d)\.", r"stages.\1.norm."),
    (r"layer_norm_([12])", r"norm\1"),
    (r"attention\.self\.query", "attn.q"),
    (r"attention\.self\.sr", "attn.sr"),
    (r"attention\.self\.layer_norm", "attn.norm"),
    (r"attention\.output\.dense", "attn.proj"),
    (r"mlp\.dense([12])", r"mlp.fc\1"),
    (r"mlp\.dwconv\.dwconv", "mlp.dwconv"),
)
"""All of them in turn, each wherever it fits."""


def from_hugging_face(tensors: Tensors) -> Tensors:
    """Keys and values lie apart there and together here."""
    result = {}
    for name, value in tensors.items():
        for theirs, ours in HUGGING_FACE_RULES:
            name = re.sub(theirs, ours, name)
        result[name] = value
    for key in [name for name in result if ".attention.self.key." in name]:
        joined = torch.cat([result.pop(key), result.pop(key.replace(".key.", ".value."))])
        result[key.replace("attention.self.key", "attn.kv")] = joined
    return result


CLASSIFIERS = r"(head|classifier|decode_head)\."
LAYOUTS = (
    Layout("SegFormer's MiT", "patch_embed1.", CLASSIFIERS, from_segformer),
    Layout("Hugging Face's MiT", "segformer.encoder.", CLASSIFIERS, from_hugging_face),
    Layout("Hugging Face's MiT", "encoder.patch_embeddings.", CLASSIFIERS, from_hugging_face),
)
BACKBONES = {
    name: BackboneSpec(
        features=("first_block", "patch_embedding", "stage"),
        deep_channels=256,
        build=lambda config: MixTransformer(config.backbone, config.independent_feature, config.drop_path),
        head=SegFormerHead,
        layouts=LAYOUTS,
    )
    for name in SIZES
}
