"""Tables: cells of text under a head, for a terminal, for Markdown and for HTML, and how numbers are written in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dcfm_ros.config import Size

R = TypeVar("R")
Column = str | tuple[str, Callable[[R], str]] | tuple[str, Callable[[Any], str], str]
"""A head and what an item's cell says; or what it says of an attribute, and its name; or an attribute as it is."""

NOTHING = "–"
"""What stands for a number that there is none of."""
_EMPTY = ("", NOTHING)


@dataclass(frozen=True)
class Table:
    """A head and rows of as many cells each.

    Cells are plain text: an HTML template escapes them, and aligns to the left what `left` says.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, items: Iterable[R], columns: Sequence[Column[R]]) -> Table:
        """A row for each item."""
        pairs = [_column(column) for column in columns]
        rows = tuple(tuple(show(item) for _, show in pairs) for item in items)
        return cls(tuple(name for name, _ in pairs), rows)

    def without_empty_columns(self) -> Table:
        """The columns that have something to say in at least one row."""
        kept = [i for i in range(len(self.head)) if any(row[i] not in _EMPTY for row in self.rows)]
        return Table(
            tuple(self.head[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in self.rows)
        )

    @property
    def left(self) -> tuple[bool, ...]:
        """For each column whether it is aligned to the left: the first, and those that hold nothing but words."""
        cells = [[row[i] for row in self.rows if row[i] not in _EMPTY] for i in range(len(self.head))]
        return tuple(
            i == 0 or (bool(column) and all(cell[0].isalpha() for cell in column))
            for i, column in enumerate(cells)
        )

    def markdown(self) -> str:
        """A Markdown table: the first column aligned to the left, all others to the right."""
        rule = ("---", *["--:"] * (len(self.head) - 1))
        return "\n".join("| " + " | ".join(line) + " |" for line in (self.head, rule, *self.rows))

    def text(self) -> str:
        """Columns for a terminal, as wide as their widest cell, a rule below the head."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        left = self.left

        def line(cells: tuple[str, ...]) -> str:
            padded = (
                cell.ljust(width) if to_left else cell.rjust(width)
                for cell, width, to_left in zip(cells, widths, left, strict=True)
            )
            return "  ".join(padded).rstrip()

        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([line(self.head), rule, *map(line, self.rows)])


def _column(column: Column[R]) -> tuple[str, Callable[[R], str]]:
    if isinstance(column, str):
        column = column.replace("_", " "), str, column
    head, show, *attribute = column
    return head, (lambda item: show(getattr(item, *attribute))) if attribute else show


def number(value: float | None, pattern: str = ".1f") -> str:
    """The value by a format specification; `NOTHING` for None and NaN."""
    return NOTHING if value is None or math.isnan(value) else format(value, pattern)


def percent(share: float | None, digits: int = 1) -> str:
    """A share, 0-1, as in 93.1 %; `NOTHING` for None and NaN."""
    text = number(None if share is None else 100 * share, f".{digits}f")
    return text if text == NOTHING else f"{text} %"


def counted(count: int, noun: str) -> str:
    """A number of things: 1 frame, 2 frames."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def reasons(noun: str, what: str, counts: Mapping[str, int]) -> list[str]:
    """A sentence for each reason and its count: "2 labels not used: they are damaged"."""
    return [f"{counted(count, noun)} {what}: {why}" for why, count in counts.items()]


def size(pixels: Size) -> str:
    """(width, height) as in 480×360."""
    return f"{pixels[0]}×{pixels[1]}"
