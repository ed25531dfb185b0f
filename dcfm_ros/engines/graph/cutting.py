"""Where to cut a graph into pieces of about the same cost, whichever library's graph it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

WINDOW = 0.3
"""How far, in pieces, a cut may lie from where the costs would be even: where little has to be handed on is better."""
BYTE_COST = 16
"""Multiplications that take about as long as writing one byte."""


@dataclass(frozen=True)
class Step:
    """A node of a graph. made: the bytes of each of its results, by name; read: names of results and of other values."""

    multiplications: int
    made: Mapping[str, int]
    read: frozenset[str]

    @property
    def cost(self) -> int:
        """About how long it takes, in multiplications."""
        return sum(self.made.values()) * BYTE_COST + self.multiplications


@dataclass(frozen=True)
class Piece:
    """A part of a graph, and its inputs and outputs in order: names that are the same in all pieces.

    graph: as its library has it; once that has loaded it, a `Runner`.
    """

    graph: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def borders(steps: Sequence[Step], pieces: int) -> list[int]:
    """The indices at which pieces begin, at most so many, and the number of steps.

    steps: in an order in which they can be computed. Near a place where the costs are even the cut is where the fewest
    bytes are handed on: between two blocks of a network.
    """
    if not steps:
        return [0]
    done = list(accumulate(step.cost for step in steps))
    handed_on = _handed_on(steps)
    candidates: dict[int, list[tuple[int, float, int]]] = {}
    for i in range(len(steps) - 1):
        place = done[i] / max(done[-1], 1) * pieces
        nearest = round(place)
        if 0 < nearest < pieces and abs(place - nearest) <= WINDOW:
            candidates.setdefault(nearest, []).append((handed_on[i], abs(place - nearest), i + 1))
    return [0, *sorted({min(places)[-1] for places in candidates.values()}), len(steps)]


def _handed_on(steps: Sequence[Step]) -> list[int]:
    """Bytes that are computed up to each step, inclusively, and needed after it."""
    last_read = {name: i for i, step in enumerate(steps) for name in step.read}
    change = [0] * len(steps)
    for i, step in enumerate(steps):
        for name, size in step.made.items():
            change[i] += size
            change[max(i, last_read.get(name, i))] -= size
    return list(accumulate(change))
