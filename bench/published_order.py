"""The published order of operations, in plain torch, on the same weights: what the ratios are against.

Nothing is folded, cached or skipped here: the SegFormer head projects, upsamples to stride 4, concatenates and fuses at
full resolution; the fusion concatenates and convolves both features on every frame; attention multiplies matrices;
batch norm is a layer; logits are interpolated to the image's size and arg-max runs over them.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from stages import CPU, Stages
from torch import Tensor, nn

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.engines.gpu import compute_whole_fp32
from dcfm_ros.model.dcfm import DCFM


class PublishedOrder(nn.Module):
    """A DCFM model on single images, uint8 H×W×3 RGB, its masks of the same size.

    Keeps its own copy of the weights; makes the whole process compute float32 on a GPU with all of its digits. `laps` has
    the milliseconds by stage of the last frame.
    """

    def __init__(self, model: DCFM, device: torch.device = CPU) -> None:
        super().__init__()
        compute_whole_fp32()
        self.device = device
        self.model = copy.deepcopy(model).eval().requires_grad_(False).to(device)
        self.mean, self.std = (
            torch.tensor(value, device=device)[:, None, None] for value in (model.card.mean, model.card.std)
        )
        self.laps: dict[str, float] = {}

    @torch.inference_mode()
    def key_frame(self, rgb: Image) -> tuple[Mask, Tensor]:
        """The mask, and the common feature for the frames that follow: float32 1×C×h×w, unit length over channels."""
        watch = Stages(self.device)
        x = self._normalised(rgb)
        self.laps = {"preprocess": watch.lap()}
        independent = self._shallow(x)
        self.laps["independent"] = watch.lap()
        common = F.normalize(self.model.reduce(self._head(self._deep(independent))), dim=1)
        self.laps["common"] = watch.lap()
        return self._finish(watch, common, independent, rgb), common

    @torch.inference_mode()
    def other_frame(self, rgb: Image, common: Tensor) -> Mask:
        """The mask of a frame that borrows a key frame's common feature."""
        watch = Stages(self.device)
        x = self._normalised(rgb)
        self.laps = {"preprocess": watch.lap()}
        independent = self._shallow(x)
        self.laps["independent"] = watch.lap()
        return self._finish(watch, common, independent, rgb)

    def _finish(self, watch: Stages, common: Tensor, independent: Tensor, rgb: Image) -> Mask:
        logits = self._logits(common, independent)
        self.laps["fuse"] = watch.lap()
        full = F.interpolate(logits, rgb.shape[:2], mode="bilinear", align_corners=False)
        mask = full.argmax(1)[0].to(torch.uint8).cpu().numpy()
        self.laps["label_map"] = watch.lap()
        self.laps["total"] = watch.total()
        return mask

    def _normalised(self, rgb: Image) -> Tensor:
        x = torch.from_numpy(rgb).to(self.device).permute(2, 0, 1).float() / 255
        return ((x - self.mean) / self.std)[None]

    def _shallow(self, x: Tensor) -> Tensor:
        backbone: Any = self.model.backbone
        if not self.model.config.backbone.startswith("mit"):
            return backbone.encode_shallow(x)
        stage, feature = backbone.stages[0], self.model.config.independent_feature
        tokens, size = embed(stage.embed, x)
        if feature == "first_block":
            tokens = block(stage.blocks[0], tokens, size)
        elif feature == "stage":
            tokens = finish(stage, tokens, size, done=0)
        return to_map(tokens, size)

    def _deep(self, independent: Tensor) -> tuple[Tensor, ...]:
        backbone: Any = self.model.backbone
        if not self.model.config.backbone.startswith("mit"):
            return backbone.encode_deep(independent)
        x = independent
        if self.model.config.independent_feature != "stage":
            size = (x.shape[2], x.shape[3])
            done = int(self.model.config.independent_feature == "first_block")
            x = to_map(finish(backbone.stages[0], to_tokens(x), size, done=done), size)
        features = [x]
        for stage in backbone.stages[1:]:
            tokens, size = embed(stage.embed, features[-1])
            features.append(to_map(finish(stage, tokens, size, done=0), size))
        return tuple(features)

    def _head(self, features: tuple[Tensor, ...]) -> Tensor:
        head: Any = self.model.head
        if not self.model.config.backbone.startswith("mit"):
            return head(features)
        return segformer_head(head, features)

    def _logits(self, common: Tensor, independent: Tensor) -> Tensor:
        independent = F.normalize(independent, dim=1)
        if independent.shape[2:] != common.shape[2:]:
            independent = F.interpolate(independent, common.shape[2:], mode="bilinear", align_corners=False)
        both = torch.cat([common, independent[:, : self.model.independent_channels]], dim=1)
        fusion = self.model.fusion
        return self.model.classifier(F.normalize(F.relu(fusion.norm(fusion.conv(both))), dim=1))


def segformer_head(head: Any, features: tuple[Tensor, ...]) -> Tensor:
    """Projects every scale, brings it to the finest one's size, concatenates from coarse to fine, fuses."""
    parts = []
    for feature, projection in zip(reversed(features), reversed(head.projections), strict=True):
        size = (feature.shape[2], feature.shape[3])
        part = to_map(projection(to_tokens(feature)), size)
        parts.append(F.interpolate(part, features[0].shape[2:], mode="bilinear", align_corners=False))
    return F.relu(head.norm(head.fuse(torch.cat(parts, dim=1))))


def embed(module: Any, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Overlapping patch embedding: tokens N×hw×C and their (h, w)."""
    x = module.proj(x)
    return module.norm(to_tokens(x)), (x.shape[2], x.shape[3])


def finish(stage: Any, tokens: Tensor, size: tuple[int, int], *, done: int) -> Tensor:
    """The stage's blocks after the first `done`, then its norm."""
    for module in stage.blocks[done:]:
        tokens = block(module, tokens, size)
    return stage.norm(tokens)


def block(module: Any, tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Attention, then the MLP with its depth-wise conv, each with a residual."""
    tokens = tokens + attention(module.attn, module.norm1(tokens), size)
    mlp = module.mlp
    hidden = to_tokens(mlp.dwconv(to_map(mlp.fc1(module.norm2(tokens)), size)))
    return tokens + mlp.fc2(F.gelu(hidden))


def attention(module: Any, tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Softmax over scaled products of queries and spatially reduced keys, written out."""
    n, count, width = tokens.shape
    heads = module.heads
    q = module.q(tokens).reshape(n, count, heads, width // heads).permute(0, 2, 1, 3)
    reduced = tokens
    if module.reduction > 1:
        reduced = module.norm(to_tokens(module.sr(to_map(tokens, size))))
    k, v = module.kv(reduced).reshape(n, -1, 2, heads, width // heads).permute(2, 0, 3, 1, 4)
    weights = ((q @ k.transpose(-2, -1)) * (width // heads) ** -0.5).softmax(dim=-1)
    return module.proj((weights @ v).transpose(1, 2).reshape(n, count, width))


def to_tokens(x: Tensor) -> Tensor:
    """N×C×h×w -> N×hw×C."""
    return x.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """N×hw×C -> N×C×h×w, contiguous as the published code makes it."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *size).contiguous()
