"""What the suite measured: the parts of `docs/speed.md`, which hold more than `dcfm bench` measures.

Times are milliseconds, ratios say how many times faster, shares are 0-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcfm_lab.bench.result import DCFM, FORMAT, Amortised, Case, Part, Row
from dcfm_lab.measure.result_file import load_result, save_result
from dcfm_lab.measure.spread import Spread
from dcfm_ros.config import Size

PUBLISHED = "published"
SEGFORMER = "segformer"
TUNED = "segformer tuned"
NAMES = {
    PUBLISHED: "published order",
    DCFM: "DCFM",
    SEGFORMER: "per-frame SegFormer, transformers",
    TUNED: "the same SegFormer, all tricks",
}


@dataclass(frozen=True)
class Against:
    """How many times faster than a per-frame SegFormer (kind, with a head of `width` channels) on its fastest engine."""

    kind: str
    width: int
    ratio: Spread


@dataclass(frozen=True)
class SuiteAmortised(Amortised):
    """And against each SegFormer of the case."""

    against: tuple[Against, ...] = ()


@dataclass(frozen=True)
class SuiteRow(Row):
    """kind: PUBLISHED, the published order in plain torch, which is the reference. DCFM: this package. SEGFORMER:
    per-frame SegFormer as a user runs it. TUNED: the same network with this package's tricks.
    """

    amortised: tuple[SuiteAmortised, ...] = ()

    @property
    def title(self) -> str:
        on = "" if self.kind in (PUBLISHED, SEGFORMER) else f", {self.engine} {self.precision}"
        return NAMES[self.kind] + on + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class SuiteCase(Case):
    """Contestants that took turns in one run, this package's rivals among them."""

    rows: tuple[SuiteRow, ...]


@dataclass(frozen=True)
class LabelMapRow:
    """From logits to labels at full size, against torch's interpolate and argmax. equal: share of equal labels."""

    logits: str
    classes: int
    low: Size
    size: Size
    torch_ms: Spread
    ours_ms: Spread
    ratio: Spread
    equal: float


@dataclass(frozen=True)
class NodeRow:
    """The node through DDS: camera, node and reader are processes of their own.

    outputs: what the reader subscribes to. sent, received: images and masks; dropped: images that a newer one replaced
    before their turn, as the node counts them. p50_ms, p95_ms, p99_ms: from just before an image is published to its
    mask's arrival. outside_*: of these, what the node does outside the segmenter (convert, publish). cpu_cores: what the
    node's process used.
    """

    mode: str
    size: Size
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
    size: Size
    rate_hz: float
    tried_hz: tuple[float, ...]


@dataclass(frozen=True)
class OutputRow:
    """What one more output costs: cores of the node's process with it, less without it, at this rate and size."""

    output: str
    size: Size
    rate_hz: float
    extra_cores: float


@dataclass(frozen=True)
class SuitePart(Part):
    """One part of the suite, measured in one go."""

    cases: tuple[SuiteCase, ...] = ()
    label_maps: tuple[LabelMapRow, ...] = ()
    node: tuple[NodeRow, ...] = ()
    rates: tuple[RateRow, ...] = ()
    outputs: tuple[OutputRow, ...] = ()


@dataclass(frozen=True)
class Suite:
    """Parts by name; a ratio never mixes two parts."""

    format: str
    parts: tuple[SuitePart, ...]

    def part(self, name: str) -> SuitePart | None:
        return next((part for part in self.parts if part.name == name), None)


def load_suite(path: str | Path) -> Suite:
    """The parts in a JSON file of `merge_into`; DcfmError where it is missing or anything else."""
    return load_result(Suite, path, FORMAT, "bench/run.py --suite")


def merge_into(path: str | Path, part: SuitePart, order: Sequence[str] = ()) -> None:
    """Writes the part into the file, in place of the one of its name; parts come in `order`, unknown ones last."""
    others = load_suite(path).parts if Path(path).exists() else ()
    place = {name: number for number, name in enumerate(order)}
    parts = [part, *(other for other in others if other.name != part.name)]
    parts.sort(key=lambda p: (place.get(p.name, len(place)), p.name))
    save_result(Suite(FORMAT, tuple(parts)), path)
