"""What was measured: plain data that becomes JSON, tables and a plot.

Times are milliseconds, ratios say how many times faster, shares are 0-1; what was not measured is null.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from dcfm_ros.measure.machine import OthersLoad, this_machine, version_of
from dcfm_ros.measure.spread import Spread

FORMAT = "dcfm_ros bench 1"

BUSY = 0.15
"""Cores that other processes may use before a measurement is called into question."""

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
class Part:
    """What one command measured. created: UTC, ISO 8601. others_cores: cores that other processes kept busy."""

    name: str
    created: str
    command: str
    seconds: float
    others_cores: float
    machine: dict[str, str]
    cases: tuple[Case, ...] = ()
    memory: tuple[MemoryRow, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a JSON file of `dcfm bench` holds."""

    format: str
    parts: tuple[Part, ...]


P = TypeVar("P", bound=Part)


def record(kind: type[P], name: str, command: str, work: Callable[[], dict[str, Any]]) -> P:
    """The part that `work` measures, with when and where. work: returns the fields that hold measurements."""
    load, begin = OthersLoad(), time.perf_counter()
    found = work()
    facts = this_machine().words()
    if version := version_of("transformers"):
        facts["transformers"] = version
    return kind(
        name=name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        seconds=time.perf_counter() - begin,
        others_cores=load.cores(),
        machine=facts,
        **found,
    )
