"""int8 graphs: NNCF measures the range of every activation on real frames, and what int8 costs in labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.arrays import Image
from dcfm_ros.engines.graph.base import Array, Runner, labels_of
from dcfm_ros.engines.graph.export import GRAPHS
from dcfm_ros.engines.graph.openvino_cut import multiplications
from dcfm_ros.errors import DcfmError, required

logger = logging.getLogger(__name__)

CALIBRATION_FRAMES = 48
"""More are not read: the ranges change little after some tens of frames."""
COMPARED_FRAMES = 8
ENOUGH = 0.992
"""Share of the float32 labels that is to be kept on calibration's frames: a little more than 99 %, since others differ."""
ALLOWED_COST = 0.002
"""What int8 may cost in any case: some labels are lost with no block in int8, where the rest runs in bfloat16."""
NO_LAYERS = ("Constant", "Parameter", "Result")


def quantise(
    openvino: Any,
    graphs: Mapping[str, Any],
    folder: Path,
    frames: Sequence[Image],
    compiled: Callable[[str, Any], Runner],
) -> None:
    """Writes each of GRAPHS as an OpenVINO model, `folder`/NAME.xml and .bin, in int8 but for blocks that cost labels.

    openvino: the module. graphs: its models, by name, with fixed shapes. frames: of the graphs' input size, in the
    order of a video; each is a key frame once. compiled: makes the model of a graph run as it will when it is used.
    Raises DcfmError without frames, and where NNCF is not installed.
    """
    if not frames:
        raise DcfmError(
            "precision 'int8' is calibrated on frames of your camera, and none were given; build it ahead of time: "
            "dcfm export --precision int8 --calibrate BAG_VIDEO_OR_FOLDER"
        )
    quantiser = Quantiser(openvino, graphs, frames[:CALIBRATION_FRAMES], compiled)
    blocks = choose_blocks(quantiser.work, quantiser.agreement)
    if left := sorted(quantiser.work.keys() - blocks):
        logger.warning("not in int8, to keep the labels: %s", ", ".join(left))
    for name in GRAPHS:
        logger.warning("calibrating the graph '%s' on %d frames", name, len(quantiser))
        openvino.save_model(
            quantiser.model(name, blocks), str(folder / f"{name}.xml"), compress_to_fp16=False
        )


class Quantiser:
    """Graphs with some of their blocks in int8. A block is what the network's first level of modules names."""

    def __init__(
        self,
        openvino: Any,
        graphs: Mapping[str, Any],
        frames: Sequence[Image],
        compiled: Callable[[str, Any], Runner],
    ) -> None:
        self._nncf = required("nncf", "precision 'int8'")
        self._nncf.set_log_level(logging.WARNING)  # it lists every layer that stays as it is
        self._core = openvino.Core()
        self._graphs = graphs
        self._compiled = compiled
        self._work = {name: work_of(graphs[name]) for name in GRAPHS}
        self._runners: dict[tuple[str, frozenset[str]], Runner] = {}
        self._samples = self._run_all(frames)

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def work(self) -> dict[str, int]:
        """Block -> the multiplications that it does for a frame."""
        return {block: count for counts in self._work.values() for block, count in counts.items()}

    def model(self, name: str, blocks: Collection[str]) -> Any:
        """The graph `name` with those of `blocks` in int8 that are part of it."""
        model = self._graphs[name].clone()
        if not self._work[name].keys() & set(blocks):
            return model
        nncf = self._nncf
        layers = [node for node in model.get_ops() if node.get_type_name() not in NO_LAYERS]
        attends = any(node.get_type_name() == "Softmax" for node in layers)
        left = [node.get_friendly_name() for node in layers if block_of(node) not in blocks]
        return nncf.quantize(
            model,
            nncf.Dataset([{key: sample[key] for key in GRAPHS[name].inputs} for sample in self._samples]),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            subset_size=len(self._samples),
            ignored_scope=nncf.IgnoredScope(names=left, validate=False),
            # Smoothing activations into weights, NNCF's default for transformers, loses most labels of a MiT.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
            ),
        )

    def agreement(self, blocks: Collection[str]) -> float:
        """The share of labels that are as in float32, with these blocks in int8. As in a stream, of earlier key frames."""
        independent_of, common_of, logits_of = (
            self._runner(name, blocks) for name in ("independent", "common", "logits")
        )
        shares = []
        pairs = list(zip([self._samples[0], *self._samples], self._samples, strict=False))
        for before, sample in pairs[:: max(1, len(pairs) // COMPARED_FRAMES)]:
            (common,) = common_of(*independent_of(before["image"]))
            (logits,) = logits_of(common, *independent_of(sample["image"]))
            shares.append(float((labels_of(logits) == sample["labels"]).mean()))
        return float(np.mean(shares))

    def _runner(self, name: str, blocks: Collection[str]) -> Runner:
        key = name, frozenset(self._work[name].keys() & set(blocks))
        if key not in self._runners:
            self._runners[key] = self._compiled(name, self.model(*key))
        return self._runners[key]

    def _run_all(self, frames: Sequence[Image]) -> list[dict[str, Array]]:
        """What goes into the float32 graphs at each frame, and the labels. A frame's common feature is of the one before."""
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        independent_of, common_of, logits_of = (
            self._core.compile_model(self._graphs[name], "CPU", settings)
            for name in ("independent", "common", "logits")
        )
        samples: list[dict[str, Array]] = []
        for frame in frames:
            image = np.ascontiguousarray(frame)[None]
            independent = independent_of(image)[0].copy()
            own = common_of(independent)[0].copy()
            common = samples[-1]["own"] if samples else own
            labels = labels_of(logits_of([common, independent])[0])
            samples.append(
                {"image": image, "independent": independent, "common": common, "own": own, "labels": labels}
            )
        return samples


def choose_blocks(work: Mapping[str, float], agreement: Callable[[Collection[str]], float]) -> set[str]:
    """All blocks, or as many as keep the labels: those that lose most labels for what they save are left out first.

    work: of each block, the multiplications that int8 makes faster. agreement: of the labels with these blocks in int8,
    the share that is as in float32, 0-1; it may take minutes.
    """
    chosen = set(work)
    share = agreement(chosen)
    if share >= ENOUGH:
        return chosen
    logger.warning(
        "in int8 %.2f %% of the labels stay as they are; looking for the blocks that cost most", 100 * share
    )
    without = agreement(set())
    enough = min(ENOUGH, without - ALLOWED_COST)
    costs = {}
    for number, block in enumerate(sorted(work), 1):
        costs[block] = without - agreement({block})
        cost = 100 * costs[block]
        logger.warning(
            "int8 in block '%s' alone costs %.2f %% of the labels (%d of %d)", block, cost, number, len(work)
        )
    while without - sum(costs[block] for block in chosen) < enough or agreement(chosen) < enough:
        chosen.remove(max(sorted(chosen), key=lambda block: costs[block] / work[block]))
    return chosen


def work_of(model: Any) -> dict[str, int]:
    """Block of a graph -> its multiplications, which int8 makes faster."""
    counts: dict[str, int] = {}
    for node in model.get_ops():
        if (block := block_of(node)) and (work := multiplications(node)):
            counts[block] = counts.get(block, 0) + work
    return counts


def block_of(node: Any) -> str:
    """The part of a layer's name, /BLOCK/.../LAYER, that is its block's; "" for a layer outside all blocks.

    Fusion and classifier are such, where they are matrix products: they decide the labels, and stay in float32.
    """
    parts = str(node.get_friendly_name()).split("/")
    return parts[1] if len(parts) > 2 else ""
