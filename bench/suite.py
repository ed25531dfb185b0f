"""The measurements behind `docs/speed.md`, in parts that take a few minutes at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from label_maps import measure_label_maps
from parts import SuitePart
from rivals import REFERENCE, SegFormerEntry, all_entries, compare
from segformer import official_width

from dcfm_lab.bench.contestants import CHOICES, Entry, Setting, on_gpu, usual_choices
from dcfm_lab.bench.memory import measure_memory
from dcfm_lab.bench.result import record
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.machine import version_of
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.shipped import default_weights

VSPW_SIZE = (853, 480)
CITYSCAPES_SIZE = (2048, 1024)
HALF_SIZE = (1024, 512)

Say = Callable[[str], None]
Progress = Callable[[float], None]


def shipped() -> Setting:
    """The model that comes with the package, at its card's size."""
    return Setting("shipped", weights=str(default_weights()))


def vspw(backbone: str) -> Setting:
    """As published for VSPW: 480×853, 124 classes."""
    config = ModelConfig(backbone=backbone, num_classes=124, independent_channels=32)
    return Setting(f"{backbone}_vspw", config=config, size=VSPW_SIZE)


def cityscapes(backbone: str) -> Setting:
    """As published for Cityscapes, 19 classes, at half the size."""
    common = 320 if backbone == "resnet18" else 0
    config = ModelConfig(
        backbone=backbone, num_classes=19, independent_channels=32, common_channels=common, classifier="mlp"
    )
    return Setting(f"{backbone}_cityscapes", config=config, size=HALF_SIZE)


def gpu_goal() -> Setting:
    """What the goals for a GPU speak of: as published for Cityscapes, at its whole size."""
    return replace(cityscapes("mit_b1"), name="mit_b1_cityscapes_full", size=CITYSCAPES_SIZE)


def widths_of(setting: Setting) -> tuple[int, ...]:
    """Of the heads of the SegFormers that a case compares with; none for backbones that SegFormer does not have.

    As published for the backbone, and for VSPW also as narrow as DCFM's.
    """
    config = setting.config
    if config is None or not config.backbone.startswith("mit"):
        return ()
    narrow = {config.deep_channels} if setting.size == VSPW_SIZE else set()
    return tuple(sorted(narrow | {official_width(config.backbone)}))


CASES: dict[str, tuple[Callable[[], Setting], float]] = {
    "shipped": (shipped, 30.0),
    "mit_b2_vspw": (lambda: vspw("mit_b2"), 110.0),
    "mit_b0_vspw": (lambda: vspw("mit_b0"), 30.0),
    "mit_b1_cityscapes": (lambda: cityscapes("mit_b1"), 40.0),
    "resnet18_cityscapes": (lambda: cityscapes("resnet18"), 25.0),
    "gpu": (gpu_goal, 40.0),
}
"""Each with the seconds of its timing; building the engines, warming up and rendering frames come on top."""

GOALS_CASE = "mit_b2_vspw"
"""int8 is measured here, too, though the weights are random: there is a goal for its speed."""

PARTS = ("label_map", *CASES, "memory")
GPU_PARTS = ("gpu", "shipped")
"""Those that a machine with a GPU is asked for."""


def usual_parts() -> tuple[str, ...]:
    """The parts that are worth measuring on this machine."""
    return GPU_PARTS if on_gpu() else tuple(name for name in PARTS if name != "gpu")


def measure_part(name: str, *, say: Say, progress: Progress | None = None, scale: float = 1.0) -> SuitePart:
    """One of PARTS. scale: of the seconds it takes. Raises DcfmError for another name, and for "gpu" without one."""
    if name not in PARTS:
        raise DcfmError(f"the suite has no part '{name}'; known: {', '.join(PARTS)}")
    if name == "gpu" and not on_gpu():
        raise DcfmError("part 'gpu' needs a CUDA GPU, and a torch that can use it")
    return recorded(name, f"python bench/run.py --suite {name}", lambda: _work(name, say, progress, scale))


def recorded(name: str, command: str, work: Callable[[], dict[str, Any]]) -> SuitePart:
    """What `work` measures, with the rivals' library among the facts of the machine."""
    part = record(SuitePart, name, command, work)
    version = version_of("transformers")
    return replace(part, machine=part.machine | {"transformers": version}) if version else part


def _work(name: str, say: Say, progress: Progress | None, scale: float) -> dict[str, Any]:
    """The fields of a SuitePart."""
    if name == "label_map":
        return {"label_maps": measure_label_maps(seconds=4 * scale)}
    if name == "memory":
        return {"memory": _memory()}
    return {"cases": (_case(name, say, progress, scale),)}


def _case(name: str, say: Say, progress: Progress | None, scale: float) -> Any:
    make, seconds = CASES[name]
    setting = make()
    choices = usual_choices(setting, random_int8=name == GOALS_CASE)
    entries = all_entries(choices, widths_of(setting), compiled=True)
    return compare(setting, entries, seconds=seconds * scale, say=say, progress=progress)


def _memory() -> Any:
    ours = [Entry(engine, precision) for engine, precision in CHOICES if precision == "fp32"]
    segformer = SegFormerEntry(width=official_width("mit_b2"))
    return measure_memory(shipped(), [REFERENCE, *ours]) + measure_memory(
        vspw("mit_b2"), [REFERENCE, *ours, segformer]
    )
