"""Measurements as tables: lines of cells, printed in columns or written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from dcfm_ros.bench.result import DCFM, PUBLISHED, SEGFORMER, TUNED, Case, LabelMapRow, Row
from dcfm_ros.measure.spread import Spread

NAMES = {
    PUBLISHED: "published order",
    DCFM: "DCFM, this package",
    SEGFORMER: "per-frame SegFormer, transformers",
    TUNED: "the same SegFormer, all tricks",
}
SHORT = {SEGFORMER: "transformers", TUNED: "all tricks"}
AGAINST_AT = (10, 20)
STAGES = ("preprocess", "independent", "common", "network", "fuse", "label_map")
Lines = list[list[str]]


def ms(value: float) -> str:
    """Milliseconds with three digits that count."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def spread_ms(value: Spread | None) -> str:
    """Median (first to third quartile)."""
    return f"{ms(value.median)} ({ms(value.q1)}-{ms(value.q3)})" if value else ""


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.0f}×" if value >= 99.5 else f"{value:.1f}×" if value >= 9.95 else f"{value:.2f}×"


def spread_times(value: Spread | None) -> str:
    return f"{times(value.median)} ({times(value.q1)}-{times(value.q3)})" if value else ""


def percent(share: float | None) -> str:
    """Rounded down: 99.99 is never shown for less."""
    return "" if share is None else f"{int(share * 100_000) / 1000:.3f} %"


def size(value: tuple[int, int]) -> str:
    return f"{value[0]}×{value[1]}"


def contestant(row: Row) -> str:
    """A row's name."""
    on = "" if row.kind in (PUBLISHED, SEGFORMER) else f", {row.engine} {row.precision}"
    return NAMES[row.kind] + on + (f" ({row.detail})" if row.detail else "")


def measured(case: Case) -> list[Row]:
    """The rows that could be measured."""
    return [row for row in case.rows if not row.skipped]


def frame_lines(case: Case) -> Lines:
    """Milliseconds per frame, and how many times faster than the published order."""
    lines = [["", "other frame, ms", "key frame, ms", "other frame", "key frame", "labels as fp32 torch"]]
    for row in measured(case):
        other = spread_ms(row.other) if row.kind in (PUBLISHED, DCFM) else "as key frame"
        lines.append(
            [
                contestant(row),
                other,
                spread_ms(row.key),
                spread_times(row.other_ratio) if row.kind == DCFM else "",
                spread_times(row.key_ratio) if row.kind != PUBLISHED else "",
                percent(row.agreement),
            ]
        )
    return lines


def amortised_lines(case: Case) -> Lines:
    """Mean milliseconds per frame over K."""
    rows = [row for row in measured(case) if row.amortised]
    if not rows:
        return []
    lines = [["mean ms per frame", *(f"K = {item.interval}" for item in rows[0].amortised)]]
    lines += [[contestant(row), *(ms(item.ms.median) for item in row.amortised)] for row in rows]
    return lines


def against_lines(case: Case) -> Lines:
    """The mean cost at K = 10 and 20 against each per-frame SegFormer; empty where there was none."""
    rows = [row for row in measured(case) if row.kind == DCFM and row.amortised and row.amortised[0].against]
    if not rows:
        return []
    rivals = rows[0].amortised[0].against
    head = [f"{SHORT[rival.kind]}, head of {rival.width}, K = {k}" for rival in rivals for k in AGAINST_AT]
    lines = [["times faster than per-frame SegFormer", *head]]
    for row in rows:
        items = {item.interval: item for item in row.amortised}
        cells = [spread_times(items[k].against[i].ratio) for i in range(len(rivals)) for k in AGAINST_AT]
        lines.append([contestant(row), *cells])
    return lines


def stage_lines(case: Case) -> Lines:
    """Median milliseconds by stage."""
    rows = measured(case)
    stages = [s for s in STAGES if any(s in (row.key_stages or {}) for row in rows)]
    lines = [["median ms by stage", *(stage.replace("_", " ") for stage in stages)]]
    for row in rows:
        both = row.kind in (PUBLISHED, DCFM)
        kinds = (
            [("other frame", row.other_stages), ("key frame", row.key_stages)]
            if both
            else [("", row.key_stages)]
        )
        for kind, found in kinds:
            cells = [ms(found[s]) if found and s in found else "" for s in stages]
            lines.append([", ".join(filter(None, (contestant(row), kind))), *cells])
    return lines


def label_map_lines(rows: Sequence[LabelMapRow]) -> Lines:
    """The label map against torch."""
    lines = [["logits", "classes", "from", "to", "torch, ms", "ours, ms", "times faster", "equal labels"]]
    for row in rows:
        lines.append(
            [row.logits, str(row.classes), size(row.low), size(row.size), spread_ms(row.torch_ms)]
            + [spread_ms(row.ours_ms), spread_times(row.ratio), percent(row.equal)]
        )
    return lines


def in_columns(lines: Lines) -> str:
    """For a terminal: the first column flush left, numbers flush right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rendered = []
    for line in lines:
        first, *rest = line
        cells = [
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
        ]
        rendered.append("  ".join(cells).rstrip())
    return "\n".join(rendered)


def as_markdown(lines: Lines) -> str:
    """A Markdown table."""
    head, *body = lines
    rule = ["---"] + ["--:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))
