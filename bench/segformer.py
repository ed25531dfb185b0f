"""Per-frame SegFormer (arXiv 2105.15203): as a user runs it, and the same network with all of this package's tricks."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import CPU, Stages
from torch import Tensor, nn

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.graph.base import Library
from dcfm_ros.engines.graph.export import GraphSpec, write_graph
from dcfm_ros.engines.graph.forms import use_graph_forms
from dcfm_ros.engines.graph.onnxruntime import OnnxRuntimeLibrary
from dcfm_ros.engines.graph.openvino import OpenVinoLibrary
from dcfm_ros.engines.label_map.label_map import label_array
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.backbones.mit import SIZES, MixTransformer
from dcfm_ros.model.heads import SegFormerHead
from dcfm_ros.model.normalisation import IMAGENET
from dcfm_ros.stream.segmentation import Stopwatch

OFFICIAL_WIDTH = {"mit_b0": 256, "mit_b1": 256}
"""Channels of the published SegFormers' heads; 768 for the larger ones."""


def official_width(backbone: str) -> int:
    """Channels of the head that SegFormer is published with on this backbone."""
    return OFFICIAL_WIDTH.get(backbone, 768)


class UserSegFormer:
    """`transformers`' SegFormer with its image processor and its post-processing, in torch. Random weights."""

    def __init__(self, backbone: str, classes: int, head_width: int, device: torch.device = CPU) -> None:
        """Raises DcfmError where `transformers` is missing."""
        if importlib.util.find_spec("transformers") is None:
            raise DcfmError("transformers is not installed (pip install transformers)")
        transformers: Any = importlib.import_module("transformers")
        transformers.logging.set_verbosity_error()
        widths, depths = SIZES[backbone]
        config = transformers.SegformerConfig(
            depths=list(depths), hidden_sizes=list(widths), decoder_hidden_size=head_width, num_labels=classes
        )
        self.device = device
        self.network = transformers.SegformerForSemanticSegmentation(config).eval().to(device)
        self._processor = transformers.SegformerImageProcessor(do_resize=False)
        self.laps: dict[str, float] = {}

    @torch.inference_mode()
    def frame(self, rgb: Image) -> Mask:
        """The mask of an image, uint8 H×W×3, at its size."""
        watch = Stages(self.device)
        inputs = self._processor(images=rgb, return_tensors="pt").to(self.device)
        self.laps = {"preprocess": watch.lap()}
        outputs = self.network(**inputs)
        self.laps["network"] = watch.lap()
        labels = self._processor.post_process_semantic_segmentation(outputs, target_sizes=[rgb.shape[:2]])[0]
        mask = labels.to(torch.uint8).cpu().numpy()
        self.laps["label_map"] = watch.lap()
        self.laps["total"] = watch.total()
        return mask


class TunedSegFormer(nn.Module):
    """The network of a `UserSegFormer`, with its weights, made of this package's parts.

    The head projects and fuses each scale at its own resolution; batch norm and the image's normalisation are folded;
    attention is fused, and blocks are in the form that graphs run fastest. There is nothing to reuse: it has no key frames.
    forward: uint8 1×H×W×3 -> float32 1×C×h×w.
    """

    def __init__(self, backbone: str, user: UserSegFormer) -> None:
        super().__init__()
        theirs = user.network
        width, classes = theirs.config.decoder_hidden_size, theirs.config.num_labels
        self.backbone = MixTransformer(backbone, "patch_embedding")
        self.head = SegFormerHead(self.backbone.deep, width)
        self.classifier = nn.Conv2d(width, classes, 1)
        self.load_state_dict(translated(theirs.state_dict()))
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-5  # everywhere in transformers
        self.eval().requires_grad_(False)
        use_graph_forms(self)
        std = torch.tensor(IMAGENET.std)
        self._scale, self._offset = 1 / (255 * std), -torch.tensor(IMAGENET.mean) / std

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() * self._scale + self._offset).permute(0, 3, 1, 2)
        return self.classifier(self.head(self.backbone.encode_deep(self.backbone.encode_shallow(x))))


def translated(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """`transformers`' SegFormer tensors under our names; DcfmError for a name that is not known."""
    ours: dict[str, Tensor] = {}
    for name, value in theirs.items():
        if ".v_proj." in name:
            continue  # with the keys
        if ".k_proj." in name:
            value = torch.cat([value, theirs[name.replace(".k_proj.", ".v_proj.")]])
        for pattern, ourname in RULES:
            renamed, count = re.subn(pattern, ourname, name)
            if count:
                ours[renamed] = value
                break
        else:
            raise DcfmError(f"this version of transformers has a tensor '{name}' that is not known; use 5.x")
    return ours


STAGE = r"^segformer\.stages\.(\d)\."
BLOCK = STAGE + r"blocks\.(\d+)\."
RULES = (
    (STAGE + r"patch_embeddings\.proj\.", r"backbone.stages.\1.embed.proj."),
    (STAGE + r"patch_embeddings\.layer_norm\.", r"backbone.stages.\1.embed.norm."),
    (STAGE + r"layer_norm\.", r"backbone.stages.\1.norm."),
    (BLOCK + r"layernorm_before\.", r"backbone.stages.\1.blocks.\2.norm1."),
    (BLOCK + r"layernorm_after\.", r"backbone.stages.\1.blocks.\2.norm2."),
    (BLOCK + r"attention\.q_proj\.", r"backbone.stages.\1.blocks.\2.attn.q."),
    (BLOCK + r"attention\.k_proj\.", r"backbone.stages.\1.blocks.\2.attn.kv."),
    (BLOCK + r"attention\.o_proj\.", r"backbone.stages.\1.blocks.\2.attn.proj."),
    (
        BLOCK + r"attention\.sequence_reduction\.sequence_reduction\.",
        r"backbone.stages.\1.blocks.\2.attn.sr.",
    ),
    (BLOCK + r"attention\.sequence_reduction\.layer_norm\.", r"backbone.stages.\1.blocks.\2.attn.norm."),
    (BLOCK + r"mlp\.(fc1|fc2)\.", r"backbone.stages.\1.blocks.\2.mlp.\3."),
    (BLOCK + r"mlp\.dwconv\.dwconv\.", r"backbone.stages.\1.blocks.\2.mlp.dwconv."),
    (r"^decode_head\.linear_projections\.(\d)\.proj\.", r"head.projections.\1."),
    (r"^decode_head\.linear_fuse\.", "head.fuse."),
    (r"^decode_head\.batch_norm\.", "head.norm."),
    (r"^decode_head\.classifier\.", "classifier."),
)
"""Names of transformers 5."""


SPEC = GraphSpec("segformer", ("image",), ("logits",))


class TunedRunner:
    """A `TunedSegFormer` as one graph on one of ENGINES, run as this package's own graphs are on a CPU; float32."""

    ENGINES = ("openvino", "onnxruntime")

    def __init__(self, network: TunedSegFormer, engine: str, size: Size, threads: int = 0) -> None:
        """size: (width, height). Raises DcfmError where the engine's library is missing."""
        library = _library(engine, threads)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{SPEC.name}.onnx"
            pixels = torch.zeros(1, size[1], size[0], 3, dtype=torch.uint8)
            write_graph(network, SPEC, (pixels,), path)
            self._run = library.load(path, Path(folder), SPEC, threads)
        self.laps: dict[str, float] = {}

    def frame(self, rgb: Image) -> Mask:
        """The mask of an image, uint8 H×W×3, at its size."""
        watch = Stopwatch()
        (logits,) = self._run(np.require(rgb, requirements=["C", "W"])[None])
        self.laps = {"network": watch.lap()}
        mask = label_array(np.asarray(logits)[0], (rgb.shape[1], rgb.shape[0]))[0]
        self.laps["label_map"] = watch.lap()
        self.laps["total"] = watch.total()
        return mask


def _library(engine: str, threads: int) -> Library:
    config = EngineConfig(engine=engine, precision="fp32", device="cpu", threads=threads)
    if engine == "openvino":
        return OpenVinoLibrary(config)
    return OnnxRuntimeLibrary(engine, config)
