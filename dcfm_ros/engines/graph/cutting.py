"""Where to cut a graph into pieces of about the same cost, whichever library's graph it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

BYTE_COST = 16
"""Multiplications that take about as long as writing one byte."""
HANDED_COST = 64
"""As many as handing one on: a library brings it into the layout of its interface, and back into its own."""
HANDED_SHARE = 0.3
"""How much of a piece's cost handing its results on may add at most; where that is more, it goes on to the next place."""


@dataclass(frozen=True)
class Step:
    """A node of a graph.

    made: the bytes of each of its results, by name; read: names of results and of other values. begins: a piece may begin
    with it. One that does not is computed at once with what comes before it, as bias and activation are with a product.
    """

    multiplications: int
    made: Mapping[str, int]
    read: frozenset[str]
    begins: bool = True

    @property
    def cost(self) -> int:
        """About how long it takes, in multiplications."""
        return sum(self.made.values()) * BYTE_COST + self.multiplications


@dataclass(frozen=True)
class Piece:
    """A part of a graph, and its inputs and outputs in order: names that are the same in all pieces."""

    graph: Any  # as its library has it; once that has loaded it, a `Runner`
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def borders(steps: Sequence[Step], pieces: int) -> list[int]:
    """The indices at which pieces begin, at most so many, and the number of steps.

    steps: in an order in which they can be computed. Near a place where the costs are even the cut is where the fewest
    bytes are handed on: between two blocks of a network. Where even these are too many there is none.
    """
    if not steps:
        return [0]
    done = list(accumulate(step.cost for step in steps))
    handed_on = _handed_on(steps)
    candidates: dict[int, list[tuple[int, float, int]]] = {}
    for i in range(len(steps) - 1):
        place = done[i] / max(done[-1], 1) * pieces
        nearest = round(place)
        if steps[i + 1].begins and 0 < nearest < pieces:
            candidates.setdefault(nearest, []).append((handed_on[i], abs(place - nearest), i + 1))
    begins = [0]
    for nearest in sorted(candidates):
        cut = min(candidates[nearest])[-1]
        cost = sum(step.cost for step in steps[begins[-1] : cut])
        if HANDED_COST * _new(steps, begins[-1], cut) <= HANDED_SHARE * cost:
            begins.append(cut)
    return [*begins, len(steps)]


def _new(steps: Sequence[Step], begin: int, end: int) -> int:
    """Bytes that the steps from one to another compute and later ones need."""
    later = {name for step in steps[end:] for name in step.read}
    return sum(size for step in steps[begin:end] for name, size in step.made.items() if name in later)


def _handed_on(steps: Sequence[Step]) -> list[int]:
    """Bytes that are computed up to each step, inclusively, and needed after it."""
    last_read = {name: i for i, step in enumerate(steps) for name in step.read}
    change = [0] * len(steps)
    for i, step in enumerate(steps):
        for name, size in step.made.items():
            change[i] += size
            change[max(i, last_read.get(name, i))] -= size
    return list(accumulate(change))
