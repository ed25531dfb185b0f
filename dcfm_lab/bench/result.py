"""What was measured: plain data that becomes JSON, tables and a plot.

Times are milliseconds, ratios say how many times faster, shares are 0-1; what was not measured is null.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from dcfm_lab.measure.spread import Spread
from dcfm_ros.config import Size
from dcfm_ros.measure.machine import OthersLoad, now, this_machine

FORMAT = "dcfm_ros bench 1"

BUSY = 0.15
"""Cores that other processes may use before a measurement is called into question."""

DCFM = "dcfm"
"""The kind of contestants that are this package; others are what it is compared with."""


@dataclass(frozen=True)
class Amortised:
    """Mean cost of a frame with a key frame every `interval` frames."""

    interval: int
    ms: Spread


@dataclass(frozen=True)
class Named:
    """A contestant. engine, precision: as the engine calls itself. detail: what else tells it from others of its kind."""

    kind: str
    engine: str
    precision: str
    detail: str = ""

    @property
    def title(self) -> str:
        """What tables and plots call it."""
        return self.runs_on

    @property
    def runs_on(self) -> str:
        """Engine, precision, and what else tells it from others."""
        return " ".join(filter(None, (self.engine, self.precision, self.detail)))


@dataclass(frozen=True)
class Row(Named):
    """One contestant of a case.

    key, other ms from an image in memory to its mask in memory; where all are computed whole, they are all `key`
    key_ratio, other_ratio: how many times faster than the case's reference, which is fp32 in torch
    key_stages, other_stages: median ms by stage
    agreement  share of the pixels that get the label of the reference
    skipped    why it was not measured; "" if it was
    """

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
    """Contestants that took turns in one run. size: (width, height) of image, network input and mask.

    interrupted: it has fewer rounds than it was to have, and its labels were not compared.
    """

    name: str
    backbone: str
    classes: int
    size: Size
    weights: str
    rounds: int
    rows: tuple[Row, ...]
    interrupted: bool = False


@dataclass(frozen=True, kw_only=True)
class MemoryRow(Named):
    """Peak memory of a fresh process that segments a few frames, MiB. imports_mib: of it, before there was a model."""

    case: str
    peak_mib: float
    imports_mib: float


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
    return kind(
        name=name,
        created=now(),
        command=command,
        seconds=time.perf_counter() - begin,
        others_cores=load.cores(),
        machine=this_machine().words(),
        **found,
    )
