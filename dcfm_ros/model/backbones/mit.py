"""Mix Transformer encoders MiT-B0 to B5 (SegFormer, arXiv 2105.15203, section 3.1 and table 6)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcfm_ros.model.backbones.base import Backbone, FeatureInfo

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
        first = self._first_stage()
        x = first.embed(x)
        if self.independent_feature == "first_block":
            x = first.blocks[0](x)
        elif self.independent_feature == "stage":
            x = first.finish(x, done=0)
        return x

    def encode_deep(self, independent: Tensor) -> tuple[Tensor, ...]:
        x = independent
        if self.independent_feature != "stage":
            x = self._first_stage().finish(x, done=int(self.independent_feature == "first_block"))
        features = [x]
        for stage in self.stages[1:]:
            features.append(stage(features[-1]))
        return tuple(features)

    def _first_stage(self) -> Stage:
        return cast(Stage, self.stages[0])


class Stage(nn.Module):
    """Overlapping patch embedding, transformer blocks, layer norm. Maps are N×C×h×w at every border."""

    def __init__(
        self, previous: int, width: int, heads: int, reduction: int, first: bool, drop_path: list[float]
    ) -> None:
        super().__init__()
        self.embed = PatchEmbedding(previous, width, *((7, 4) if first else (3, 2)))
        self.blocks = nn.ModuleList([Block(width, heads, reduction, rate) for rate in drop_path])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.embed(x), done=0)

    def finish(self, x: Tensor, *, done: int) -> Tensor:
        """The blocks after the first `done`, then the stage's norm."""
        for block in self.blocks[done:]:
            x = block(x)
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


class Attention(nn.Module):
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
