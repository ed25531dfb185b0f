"""Measures one case: all of its contestants in turns, then what their labels are worth."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcfm_lab.bench.contestants import Contestant, Entry, Setting
from dcfm_lab.bench.frames import street
from dcfm_lab.bench.result import DCFM, Amortised, Case, Row
from dcfm_lab.measure.rounds import TOTAL, Laps, Run, interleave, totals
from dcfm_lab.measure.spread import amortised, ratio, spread
from dcfm_ros.arrays import Image
from dcfm_ros.errors import DcfmError
from dcfm_ros.interrupts import Stop, interruptible

logger = logging.getLogger(__name__)

INTERVALS = (1, 2, 5, 10, 20)
REFERENCE = Entry("torch", "fp32")
Build = Callable[[Entry, Setting, int], Contestant]


@dataclass(frozen=True)
class Rounds:
    """Per round, the stages of an entry's key frames and of its other frames, as far as it was measured."""

    key: dict[Entry, list[Laps]]
    other: dict[Entry, list[Laps]]


def measure_case(
    setting: Setting,
    entries: Sequence[Entry],
    *,
    reference: Entry = REFERENCE,
    seconds: float,
    threads: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[float], None] | None = None,
    build: Build = lambda entry, setting, threads: entry.build(setting, threads),
    partial: bool = False,
) -> tuple[Case, Rounds]:
    """Builds the contestants (what cannot run here is a row that says why) and times them in one run.

    reference: what speed and labels are compared with. seconds: about how long the timing takes, without building and
    warming up. say: called with what is being built. build: makes the contestant of an entry. partial: Ctrl-C or SIGTERM during the timing
    end it with the rounds until then, without a comparison of labels. Raises DcfmError where the reference cannot run.
    """
    model = setting.model()
    frames = street(model.card.input_size)
    built: dict[Entry, Contestant] = {}
    skipped: dict[Entry, str] = {}
    for entry in dict.fromkeys([reference, *entries]):
        say(" ".join(filter(None, entry.names)))
        try:
            contestant = build(entry, setting, threads)
            contestant.key(frames[0])
            built[entry] = contestant
        except DcfmError as error:
            if entry == reference:
                raise
            skipped[entry] = str(error)
            logger.debug("%s is left out: %s", entry, error)
    with interruptible(listen=partial) as stop:
        rounds = _time(built, frames, seconds, progress, stop)
        interrupted = stop()
    agreements = {} if interrupted else _agreements(built, reference, frames)
    rows = [replace(_row(entry, rounds, reference), agreement=agreements.get(entry)) for entry in built]
    rows += [Row(*entry.names, skipped=why) for entry, why in skipped.items()]
    config = model.config
    case = Case(
        name=setting.name,
        backbone=config.backbone,
        classes=config.num_classes,
        size=model.card.input_size,
        weights=setting.origin,
        rounds=len(rounds.key[reference]),
        interrupted=interrupted,
        rows=tuple(rows),
    )
    return case, rounds


def _agreements(
    built: Mapping[Entry, Contestant], reference: Entry, frames: Sequence[Image]
) -> dict[Entry, float]:
    expected = built[reference].labels(frames)
    return {
        entry: float(np.mean(contestant.labels(frames) == expected))
        for entry, contestant in built.items()
        if entry.kind == DCFM
    }


def _time(
    built: Mapping[Entry, Contestant],
    frames: Sequence[Image],
    seconds: float,
    progress: Callable[[float], None] | None,
    stop: Stop,
) -> Rounds:
    runs: dict[tuple[Entry, bool], Run] = {}
    for entry, contestant in built.items():
        runs[entry, True] = _on(contestant.key, frames)
        if not entry.per_frame:
            runs[entry, False] = _on(contestant.other, frames)
    laps = interleave(runs, seconds=seconds, progress=progress, stop=stop)
    keys, others = ({entry: laps[entry, key] for entry, key in laps if key is kind} for kind in (True, False))
    return Rounds(keys, others)


def _on(work: Callable[[Image], Laps], frames: Sequence[Image]) -> Run:
    return lambda number: work(frames[number % len(frames)])


def _row(entry: Entry, rounds: Rounds, reference: Entry) -> Row:
    keys = rounds.key[entry]
    row = Row(
        *entry.names,
        key=spread(totals(keys)),
        key_stages=_stages(keys),
        key_ratio=ratio(totals(rounds.key[reference]), totals(keys)),
    )
    if entry.per_frame:
        return row
    others = rounds.other[entry]
    means = [(interval, spread(amortised(totals(keys), totals(others), interval))) for interval in INTERVALS]
    return replace(
        row,
        other=spread(totals(others)),
        other_stages=_stages(others),
        other_ratio=ratio(totals(rounds.other[reference]), totals(others)),
        amortised=tuple(Amortised(interval, ms) for interval, ms in means),
    )


def _stages(laps: Sequence[Laps]) -> dict[str, float]:
    return {stage: spread([lap[stage] for lap in laps]).median for stage in laps[0] if stage != TOTAL}
