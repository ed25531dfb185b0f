"""Measurements in tables, and all of a part in words for the terminal."""

from __future__ import annotations

from dcfm_lab.bench.result import BUSY, DCFM, Case, Part, Row
from dcfm_lab.measure.spread import Spread, ms, times
from dcfm_ros.measure.table import NOTHING, Table, size

STAGES = ("preprocess", "align", "independent", "common", "network", "fuse", "label_map")


def spread_ms(value: Spread | None) -> str:
    """Median (first to third quartile)."""
    return f"{ms(value.median)} ({ms(value.q1)}-{ms(value.q3)})" if value else NOTHING


def spread_times(value: Spread | None) -> str:
    """Median (first to third quartile)."""
    return f"{times(value.median)} ({times(value.q1)}-{times(value.q3)})" if value else NOTHING


def equal_labels(share: float | None) -> str:
    """A share in percent, rounded down: 100.000 % means all of them."""
    return NOTHING if share is None else f"{int(share * 100_000) / 1000:.3f} %"


def measured(case: Case) -> list[Row]:
    """The rows that could be measured."""
    return [row for row in case.rows if not row.skipped]


def mean_ms(row: Row, interval: int) -> float:
    """Median over the rounds of the mean cost of a frame with a key frame every `interval` frames."""
    return next(item.ms.median for item in row.amortised if item.interval == interval)


def fastest(case: Case) -> Row | None:
    """Of our rows the one whose frames cost the least with a key frame every 10; None where none was measured."""
    ours = [row for row in measured(case) if row.kind == DCFM and row.amortised]
    return min(ours, key=lambda row: mean_ms(row, 10), default=None)


def frame_table(case: Case) -> Table:
    """Milliseconds per frame, and how many times faster than the reference."""
    return Table.of(
        measured(case),
        (
            ("", lambda row: row.title),
            ("other frame, ms", lambda row: spread_ms(row.other) if row.other else "as key frame"),
            ("key frame, ms", lambda row: spread_ms(row.key)),
            ("other frame", lambda row: spread_times(row.other_ratio)),
            ("key frame", lambda row: spread_times(row.key_ratio)),
            ("labels as fp32 torch", lambda row: equal_labels(row.agreement)),
        ),
    )


def amortised_table(case: Case) -> Table | None:
    """Mean milliseconds per frame over K; None where nothing was measured."""
    rows = [row for row in measured(case) if row.amortised]
    if not rows:
        return None
    head = ("mean ms per frame", *(f"K = {item.interval}" for item in rows[0].amortised))
    return Table(head, tuple((row.title, *(ms(item.ms.median) for item in row.amortised)) for row in rows))


def stage_table(case: Case) -> Table:
    """Median milliseconds by stage."""
    lines = []
    for row in measured(case):
        kinds = [("other frame", row.other_stages), ("key frame", row.key_stages)]
        for kind, found in kinds if row.other else [("", row.key_stages)]:
            cells = (ms((found or {}).get(stage)) for stage in STAGES)
            lines.append((", ".join(filter(None, (row.title, kind))), *cells))
    head = ("median ms by stage", *(stage.replace("_", " ") for stage in STAGES))
    return Table(head, tuple(lines)).without_empty_columns()


def case_tables(case: Case) -> list[Table]:
    """All of them, in order."""
    found = (frame_table(case), amortised_table(case), stage_table(case))
    return [table for table in found if table is not None]


def part_text(part: Part) -> str:
    """A part for the terminal."""
    facts = part.machine
    head = ", ".join(facts[name] for name in ("Processor", "GPU", "Vector units") if name in facts)
    lines = [f"{part.name}: {head}; {facts['Cores']} cores, {facts['Compute threads']} compute threads"]
    if part.others_cores > BUSY:
        lines.append(
            f"Other processes kept {part.others_cores:.1f} cores busy meanwhile, which slows some contestants more than "
            f"others: measure again when the machine is idle."
        )
    lines += [_case_text(case) for case in part.cases]
    for row in part.memory:
        lines.append(f"{row.case}, {row.runs_on}: {row.peak_mib:.0f} MiB at most")
    return "\n".join(lines)


def _case_text(case: Case) -> str:
    blocks = [
        f"{case.weights} weights, {case.backbone}, {case.classes} classes, {size(case.size)}, {case.rounds} rounds{' (interrupted)' if case.interrupted else ''}; "
        f"median (quartiles); a ratio says how many times faster than the first row",
        *(table.text() for table in case_tables(case)),
    ]
    skipped = [f"not measured: {row.title}: {row.skipped}" for row in case.rows if row.skipped]
    blocks += ["\n".join(skipped)] if skipped else []
    best = fastest(case)
    if best and best.key and best.other:
        blocks.append(
            f"Fastest here: {best.engine} {best.precision}, {ms(best.other.median)} ms per frame, "
            f"{ms(best.key.median)} ms per key frame; with a key frame every 10 frames "
            f"{1e3 / mean_ms(best, 10):.0f} frames a second."
        )
    return "\n" + "\n\n".join(blocks)
