"""What this package is compared with: the published order of operations, and per-frame SegFormer in two ways.

Those in plain torch run on the GPU that this package's engines take by themselves, too, and in a process of their own, as
they do without this package: its engines change how their process keeps memory, which would help them, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from own_process import OwnProcess
from parts import PUBLISHED, SEGFORMER, TUNED, Against, SuiteAmortised, SuiteCase, SuiteRow
from published_order import PublishedOrder
from segformer import TunedRunner, TunedSegFormer, UserSegFormer
from stages import CPU

from dcfm_lab.bench.case import Rounds, measure_case
from dcfm_lab.bench.contestants import SEED, Contestant, Entry, Setting, entries_of, on_gpu
from dcfm_lab.bench.result import DCFM as OURS
from dcfm_lab.measure.rounds import Laps, totals
from dcfm_lab.measure.spread import amortised, ratio, spread
from dcfm_ros.arrays import Image
from dcfm_ros.engines.gpu import first_gpu
from dcfm_ros.model.dcfm import DCFM


@dataclass(frozen=True)
class PublishedEntry(Entry):
    """The published order of operations."""

    kind: ClassVar[str] = PUBLISHED

    def build(self, setting: Setting, threads: int = 0) -> Contestant:
        return Published(setting.model(), first_gpu() or CPU)


@dataclass(frozen=True)
class SegFormerEntry(Entry):
    """SegFormer as a user runs it. width: channels of its head."""

    width: int = 0

    kind: ClassVar[str] = SEGFORMER
    per_frame: ClassVar[bool] = True

    @property
    def detail(self) -> str:
        return f"head of {self.width} channels"

    def build(self, setting: Setting, threads: int = 0) -> Contestant:
        return PerFrame(self.network(setting, first_gpu() or CPU))

    def network(self, setting: Setting, device: torch.device) -> UserSegFormer:
        """Always with the same random weights."""
        config = setting.model().config
        torch.manual_seed(SEED)
        return UserSegFormer(config.backbone, config.num_classes, self.width, device)


@dataclass(frozen=True)
class TunedEntry(SegFormerEntry):
    """The same network with this package's tricks."""

    kind: ClassVar[str] = TUNED

    def build(self, setting: Setting, threads: int = 0) -> Contestant:
        model = setting.model()
        network = TunedSegFormer(model.config.backbone, self.network(setting, CPU))
        return PerFrame(TunedRunner(network, self.engine, model.card.input_size, threads))


REFERENCE = PublishedEntry()
APART = (PUBLISHED, SEGFORMER)
"""Those that are measured as they run without this package."""


class Published:
    """The published order of operations as a contestant."""

    def __init__(self, model: DCFM, device: torch.device) -> None:
        self._network = PublishedOrder(model, device)
        self._common: Any = None

    def key(self, rgb: Image) -> Laps:
        _, self._common = self._network.key_frame(rgb)
        return self._network.laps

    def other(self, rgb: Image) -> Laps:
        self._network.other_frame(rgb, self._common)
        return self._network.laps

    def labels(self, frames: Sequence[Image]) -> np.ndarray:
        first, common = self._network.key_frame(frames[0])
        return np.stack([first, *(self._network.other_frame(rgb, common) for rgb in frames[1:])])


class PerFrame:
    """A network that computes everything on every frame."""

    def __init__(self, network: UserSegFormer | TunedRunner) -> None:
        self._network = network

    def key(self, rgb: Image) -> Laps:
        self._network.frame(rgb)
        return self._network.laps

    other = key

    def labels(self, frames: Sequence[Image]) -> np.ndarray:
        return np.stack([self._network.frame(rgb) for rgb in frames])


def all_entries(
    choices: Sequence[tuple[str, str]], widths: Sequence[int] = (), *, compiled: bool = False
) -> list[Entry]:
    """The published order, this package on each (engine, precision), and SegFormers with heads of `widths` channels.

    On a CPU each of these also tuned, on the engines among `choices` that can run it.
    """
    chosen = set() if on_gpu() else {engine for engine, _ in choices}
    engines = [engine for engine in TunedRunner.ENGINES if engine in chosen]
    entries: list[Entry] = [REFERENCE, *entries_of(choices, compiled=compiled)]
    for width in widths:
        entries.append(SegFormerEntry(width=width))
        entries += [TunedEntry(engine, width=width) for engine in engines]
    return entries


def compare(setting: Setting, entries: Sequence[Entry], **options: Any) -> SuiteCase:
    """A case against the published order and against the SegFormers among `entries`. options: of `measure_case`."""
    with contextlib.ExitStack() as stack:

        def build(entry: Entry, setting: Setting, threads: int) -> Contestant:
            if entry.kind not in APART:
                return entry.build(setting, threads)
            return stack.enter_context(contextlib.closing(OwnProcess(setting, entry, threads=threads)))

        case, rounds = measure_case(setting, entries, reference=REFERENCE, build=build, **options)
    rivals = _rivals(rounds)
    # Of our rows those that could be measured come in the order of their entries.
    ours = iter(entry for entry in rounds.key if entry.kind == OURS)
    rows = []
    for row in case.rows:
        means: tuple[SuiteAmortised, ...] = tuple(
            SuiteAmortised(item.interval, item.ms) for item in row.amortised
        )
        if row.kind == OURS and not row.skipped:
            means = _against(next(ours), rounds, rivals, means)
        rows.append(SuiteRow(**(vars(row) | {"amortised": means})))
    return SuiteCase(**(vars(case) | {"rows": tuple(rows)}))


def _rivals(rounds: Rounds) -> dict[tuple[str, int], list[float]]:
    """Per round, the milliseconds of each per-frame SegFormer on the engine that is the fastest for it."""
    found: dict[tuple[str, int], list[float]] = {}
    for entry, laps in rounds.key.items():
        if isinstance(entry, SegFormerEntry):
            candidates = [totals(laps), *filter(None, [found.get((entry.kind, entry.width))])]
            found[entry.kind, entry.width] = min(candidates, key=lambda taken: spread(taken).median)
    return found


def _against(
    entry: Entry,
    rounds: Rounds,
    rivals: Mapping[tuple[str, int], Sequence[float]],
    means: Sequence[SuiteAmortised],
) -> tuple[SuiteAmortised, ...]:
    keys, others = totals(rounds.key[entry]), totals(rounds.other[entry])
    result = []
    for item in means:
        mean = amortised(keys, others, item.interval)
        against = tuple(Against(kind, width, ratio(taken, mean)) for (kind, width), taken in rivals.items())
        result.append(SuiteAmortised(item.interval, item.ms, against))
    return tuple(result)
