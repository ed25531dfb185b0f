"""Measures one case: all of its contestants in turns, then what their labels are worth."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dcfm_ros.arrays import Image
from dcfm_ros.bench.contestants import Builder, Contestant, Entry, Setting
from dcfm_ros.bench.frames import street
from dcfm_ros.bench.own_process import OwnProcess
from dcfm_ros.bench.result import DCFM, PUBLISHED, SEGFORMER, TUNED, Against, Amortised, Case, Row
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.rounds import TOTAL, Laps, Run, interleave, totals
from dcfm_ros.measure.spread import amortised, ratio, spread

logger = logging.getLogger(__name__)

INTERVALS = (1, 2, 5, 10, 20)
PER_FRAME = (SEGFORMER, TUNED)
APART = (PUBLISHED, SEGFORMER)
"""Those that are measured as they run without this package."""

KEY, OTHER = "key", "other"
Place = tuple[Entry, str]
Rounds = Mapping[Place, list[Laps]]


def measure_case(
    setting: Setting,
    entries: Sequence[Entry],
    *,
    seconds: float,
    threads: int = 0,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[float], None] | None = None,
) -> Case:
    """Builds the contestants (what cannot run here is a row that says why) and times them in one run.

    seconds: about how long the timing takes, without building and warming up. say: called with what is being built.
    """
    builder = Builder(setting, threads=threads)
    with contextlib.ExitStack() as stack:

        def build(entry: Entry) -> Contestant:
            if entry.kind not in APART:
                return builder.build(entry)
            apart = OwnProcess(setting, entry, threads=threads)
            stack.callback(apart.close)
            return apart

        return _measured(builder, build, entries, seconds, say, progress)


def _measured(
    builder: Builder,
    build: Callable[[Entry], Contestant],
    entries: Sequence[Entry],
    seconds: float,
    say: Callable[[str], None],
    progress: Callable[[float], None] | None,
) -> Case:
    card, config = builder.model.card, builder.model.config
    frames = street(card.input_size)
    built: dict[Entry, Contestant] = {}
    skipped: dict[Entry, str] = {}
    for entry in entries:
        say(" ".join(filter(None, (entry.kind, entry.engine, entry.precision, entry.detail))))
        try:
            built[entry] = build(entry)
            built[entry].key(frames[0])
        except DcfmError as error:
            skipped[entry] = str(error)
            logger.debug("%s is left out: %s", entry, error)
    runs: dict[Place, Run] = {}
    for entry, contestant in built.items():
        runs[entry, KEY] = _on(contestant.key, frames)
        if entry.kind not in PER_FRAME:
            runs[entry, OTHER] = _on(contestant.other, frames)
    rounds = interleave(runs, seconds=seconds, progress=progress)
    rows = [_row(entry, rounds, skipped.get(entry)) for entry in entries]
    agreements = _agreements(built, build, frames)
    rows = [replace(row, agreement=agreements.get(entry)) for row, entry in zip(rows, entries, strict=True)]
    return Case(
        name=builder.setting.name,
        backbone=config.backbone,
        classes=config.num_classes,
        size=card.input_size,
        weights=builder.setting.origin,
        rounds=len(next(iter(rounds.values()), [])),
        rows=tuple(rows),
    )


def _on(work: Callable[[Image], Laps], frames: Sequence[Image]) -> Run:
    return lambda number: work(frames[number % len(frames)])


def _row(entry: Entry, rounds: Rounds, skipped: str | None) -> Row:
    row = Row(entry.kind, entry.engine, entry.precision, entry.detail)
    if skipped is not None:
        return replace(row, skipped=skipped)
    keys, others = rounds[entry, KEY], rounds.get((entry, OTHER))
    row = replace(row, key=spread(totals(keys)), key_stages=_stages(keys))
    published = Entry(PUBLISHED)
    if (published, KEY) in rounds:
        row = replace(row, key_ratio=ratio(totals(rounds[published, KEY]), totals(keys)))
    if others is None:
        return row
    row = replace(row, other=spread(totals(others)), other_stages=_stages(others))
    if (published, OTHER) in rounds:
        row = replace(row, other_ratio=ratio(totals(rounds[published, OTHER]), totals(others)))
    return replace(row, amortised=_amortised(totals(keys), totals(others), rounds))


def _amortised(keys: Sequence[float], others: Sequence[float], rounds: Rounds) -> tuple[Amortised, ...]:
    rivals = _rivals(rounds)
    result = []
    for interval in INTERVALS:
        mean = amortised(keys, others, interval)
        against = tuple(Against(kind, width, ratio(taken, mean)) for (kind, width), taken in rivals.items())
        result.append(Amortised(interval, spread(mean), against))
    return tuple(result)


def _rivals(rounds: Rounds) -> dict[tuple[str, int], list[float]]:
    """Per round, the milliseconds of each per-frame SegFormer on the engine that is the fastest for it."""
    found: dict[tuple[str, int], list[float]] = {}
    for (entry, _), laps in rounds.items():
        if entry.kind in PER_FRAME:
            candidates = [totals(laps), *filter(None, [found.get((entry.kind, entry.width))])]
            found[entry.kind, entry.width] = min(candidates, key=lambda taken: spread(taken).median)
    return found


def _stages(laps: Sequence[Laps]) -> dict[str, float]:
    return {stage: spread([lap[stage] for lap in laps]).median for stage in laps[0] if stage != TOTAL}


def _agreements(
    built: Mapping[Entry, Contestant], build: Callable[[Entry], Contestant], frames: Sequence[Image]
) -> dict[Entry, float]:
    """Of DCFM's contestants: the share of pixels labelled as the published order does, first frame key, others not."""
    published = Entry(PUBLISHED)
    expected = _masks(built.get(published) or build(published), frames)
    return {
        entry: float(np.mean(_masks(contestant, frames) == expected))
        for entry, contestant in built.items()
        if entry.kind == DCFM
    }


def _masks(contestant: Contestant, frames: Sequence[Image]) -> np.ndarray:
    contestant.key(frames[0])
    masks = [contestant.mask]
    for frame in frames[1:]:
        contestant.other(frame)
        masks.append(contestant.mask)
    return np.stack(masks)
