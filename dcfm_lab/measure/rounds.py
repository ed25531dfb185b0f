"""Interleaved runs: in every round each contestant has its turn, and each in turn is the first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

Laps = dict[str, float]
"""Milliseconds by stage; "total" is always there."""

Run = Callable[[int], Laps]
"""Works on the frame of a number, and tells what it took."""

WARM_UP = 3
SLOT_MS = 60.0
MAX_REPEATS = 7
TOTAL = "total"


def interleave(
    contestants: Mapping[K, Run],
    *,
    seconds: float,
    min_rounds: int = 5,
    max_rounds: int = 60,
    progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[K, list[Laps]]:
    """Laps of every contestant in every round, for about `seconds`, but for `min_rounds` to `max_rounds`.

    In a round a contestant runs up to MAX_REPEATS times in a row, as long as SLOT_MS lasts, and the medians count: it
    finds caches and threads as its own frames leave them, not as another contestant did. progress: called with the
    share that is done, 0-1. stop: asked after each round, whose answer may end the run.
    """
    names = list(contestants)
    begin = time.perf_counter()
    repeats = {name: _repeats(run) for name, run in contestants.items()}
    results: dict[K, list[Laps]] = {name: [] for name in names}
    for number in range(max_rounds):
        spent = time.perf_counter() - begin
        if (number >= min_rounds and spent > seconds) or (number and stop()):
            break
        if progress:
            progress(max(number / max_rounds, min(spent / max(seconds, 1e-9), number / min_rounds, 1.0)))
        for name in rotated(names, number):
            results[name].append(_medians([contestants[name](number + i) for i in range(repeats[name])]))
    return results


def rotated(names: Sequence[K], number: int) -> Iterator[K]:
    """All of them, each in turn the first, so that none has the advantage of its place."""
    return (names[(number + i) % len(names)] for i in range(len(names)))


def totals(laps: Sequence[Laps]) -> list[float]:
    """The whole of each round."""
    return [lap[TOTAL] for lap in laps]


def _repeats(run: Run) -> int:
    """Warms up, and says how often it fits into a slot."""
    last = min(run(i)[TOTAL] for i in range(WARM_UP))
    return max(1, min(MAX_REPEATS, int(SLOT_MS / last)))


def _medians(laps: Sequence[Laps]) -> Laps:
    return {stage: statistics.median(lap[stage] for lap in laps) for stage in laps[0]}
