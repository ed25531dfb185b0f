"""What was measured: plain data that becomes JSON, tables, a plot and `docs/speed.md`.

Times are milliseconds, ratios say how many times faster, shares are 0-1; what was not measured is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.measure.result_file import load_result
from dcfm_ros.measure.spread import Spread

FORMAT = "dcfm_ros bench 1"

BUSY = 0.15
"""Cores that other processes may use before a measurement is called in question."""

PUBLISHED = "published"
DCFM = "dcfm"
SEGFORMER = "segformer"
TUNED = "segformer tuned"


@dataclass(frozen=True)
class Against:
    """How many times faster than a per-frame SegFormer (kind, with a head of `width` channels) on its fastest engine."""

    kind: str
    width: int
    ratio: Spread


@dataclass(frozen=True)
class Amortised:
    """Mean cost of a frame with a key frame every `interval` frames, and against each SegFormer of the case."""

    interval: int
    ms: Spread
    against: tuple[Against, ...] = ()


@dataclass(frozen=True)
class Row:
    """One contestant of a case.

    kind       PUBLISHED: the published order of operations in plain torch. DCFM: this package. SEGFORMER: per-frame
               SegFormer as a user runs it. TUNED: the same network with this package's tricks
    engine, precision: as the engine calls itself
    detail     what else tells it from others of its kind
    key, other ms from an image in memory to its mask in memory; SegFormer's frames are all `key`
    key_ratio, other_ratio: against the case's published order
    key_stages, other_stages: median ms by stage
    agreement  share of the pixels that get the label of the published order in fp32 torch
    skipped    why it was not measured; "" if it was
    """

    kind: str
    engine: str
    precision: str
    detail: str = ""
    key: Spread | None = None
    other: Spread | None = None
    key_ratio: Spread | None = None
    other_ratio: Spread | None = None
    key_stages: dict[str, float] | None = None
    other_stages: dict[str, float] | None = None
    amortised: tuple[Amortised, ...] = ()
    agreement: float | None = None
    skipped: str = ""


@dataclass(frozen=True)
class Case:
    """Contestants that took turns in one run. size: (width, height) of image, network input and mask."""

    name: str
    backbone: str
    classes: int
    size: tuple[int, int]
    weights: str
    rounds: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class LabelMapRow:
    """From logits to labels at full size, against torch's interpolate and argmax. equal: share of equal labels."""

    logits: str
    classes: int
    low: tuple[int, int]
    size: tuple[int, int]
    torch_ms: Spread
    ours_ms: Spread
    ratio: Spread
    equal: float


@dataclass(frozen=True)
class MemoryRow:
    """Peak memory of a fresh process that segments a few frames, MiB. imports_mib: of it, before there was a model."""

    case: str
    kind: str
    engine: str
    precision: str
    peak_mib: float
    imports_mib: float
    detail: str = ""


@dataclass(frozen=True)
class NodeRow:
    """The node through DDS: camera, node and reader are processes of their own.

    outputs: what the reader subscribes to. sent, received: images and masks; dropped: images that a newer one replaced
    before their turn, as the node counts them. p50_ms, p95_ms, p99_ms: from just before an image is published to its
    mask's arrival. outside_*: of these, what the node does outside the segmenter (convert, publish). cpu_cores: what the
    node's process used.
    """

    mode: str
    size: tuple[int, int]
    rate_hz: float
    outputs: str
    sent: int
    received: int
    dropped: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    outside_p50_ms: float
    outside_p99_ms: float
    cpu_cores: float


@dataclass(frozen=True)
class RateRow:
    """The largest rate, of those tried, at which every image got its mask."""

    mode: str
    size: tuple[int, int]
    rate_hz: float
    tried_hz: tuple[float, ...]


@dataclass(frozen=True)
class OutputRow:
    """What one more output costs: cores of the node's process with it, less without it, at this rate and size."""

    output: str
    size: tuple[int, int]
    rate_hz: float
    extra_cores: float


@dataclass(frozen=True)
class Part:
    """What one command measured. created: UTC, ISO 8601. others_cores: cores that other processes kept busy."""

    name: str
    created: str
    command: str
    seconds: float
    others_cores: float
    machine: dict[str, str]
    cases: tuple[Case, ...] = ()
    label_maps: tuple[LabelMapRow, ...] = ()
    memory: tuple[MemoryRow, ...] = ()
    node: tuple[NodeRow, ...] = ()
    rates: tuple[RateRow, ...] = ()
    outputs: tuple[OutputRow, ...] = ()


@dataclass(frozen=True)
class Report:
    """Parts by name; a ratio never mixes two parts."""

    format: str
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


def merge(report: Report | None, part: Part, order: Sequence[str]) -> Report:
    """The report with `part` in place of the one of its name; parts come in `order`, unknown ones last."""
    others = tuple(p for p in report.parts if p.name != part.name) if report else ()
    names = list(order)
    place = {name: number for number, name in enumerate(names)}
    return Report(
        FORMAT, tuple(sorted((*others, part), key=lambda p: (place.get(p.name, len(names)), p.name)))
    )


def load_report(path: str | Path) -> Report:
    """The report in a JSON file of `dcfm bench`; DcfmError where it is missing or anything else."""
    return load_result(Report, path, FORMAT, "dcfm bench --json")
