"""The goals, and what was measured of each: a number here comes from the measurements, never from a keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from parts import SEGFORMER, TUNED, Suite, SuiteCase, SuiteRow
from steady_result import Steady, Way

from dcfm_lab.bench.result import DCFM
from dcfm_lab.bench.table import equal_labels
from dcfm_lab.measure.spread import Spread, ms, times
from dcfm_ros.measure.table import size

SAME_LABELS = 0.9999
INT8_LABELS = 0.99
HALF_LABELS = 0.999


@dataclass(frozen=True)
class Verdict:
    """One goal. key: of its note. reached: None where it was not measured. missed_by: in words, "" where reached."""

    key: str
    goal: str
    asked: str
    measured: str
    reached: bool | None
    missed_by: str = ""


def verdicts(suite: Suite, steady: Steady | None) -> list[Verdict]:
    """All goals in order."""
    large, shipped = _case(suite, "mit_b2_vspw"), _case(suite, "shipped")
    b2 = "MiT-B2, 124 classes, 480×853"
    return [
        _label_map(suite),
        _ratio(
            "other_fp32", f"other frame, {b2}, fp32, against the published order", 8.0, large, "fp32", _other
        ),
        _ratio("other_int8", "the same, int8 (labels ≥ 99 % equal)", 11.0, large, "int8", _other),
        _ratio("key_fp32", f"key frame, {b2}, fp32, against the published order", 3.2, large, "fp32", _key),
        _ratio(
            "against_user",
            f"mean at K = 10, {b2}, fp32, against per-frame SegFormer (transformers)",
            30.0,
            large,
            "fp32",
            against(SEGFORMER, 10),
        ),
        _ratio(
            "against_tuned_10",
            "mean at K = 10 against the same SegFormer with all tricks",
            5.0,
            large,
            "fp32",
            against(TUNED, 10),
        ),
        _ratio(
            "against_tuned_20",
            "mean at K = 20 against the same SegFormer with all tricks",
            6.5,
            large,
            "fp32",
            against(TUNED, 20),
        ),
        _shipped(shipped),
        *_steady(steady),
        *_node(suite),
    ]


def gpu_verdicts(suite: Suite | None, steady: Steady | None) -> list[Verdict]:
    """Those of the goals that a GPU is for. suite, steady: what was measured on one; None where there was none."""
    other, key = (
        "GPU: other frame, MiT-B1, 19 classes, 1024×2048, fp16 (labels ≥ 99.9 % equal)",
        "the same: key frame",
    )
    tail = "the same: background mode, key frame every 10, a frame every 33.3 ms: p99 / p50"
    if suite is None:
        goals = (("gpu_other", other, "≤ 1.0 ms"), ("gpu_key", key, "≤ 5.0 ms"), ("gpu_tail", tail, "≤ 1.2"))
        return [Verdict(*goal, "no GPU at hand", None) for goal in goals]
    case = _case(suite, "gpu")
    return [
        _at_most("gpu_other", other, 1.0, case, lambda row: row.other),
        _at_most("gpu_key", key, 5.0, case, lambda row: row.key),
        _tail("gpu_tail", tail, 1.2, steady.default if steady else None),
    ]


Pick = Callable[[SuiteRow], float | None]


def _other(row: SuiteRow) -> float | None:
    return row.other_ratio.median if row.other_ratio else None


def _key(row: SuiteRow) -> float | None:
    return row.key_ratio.median if row.key_ratio else None


def against(kind: str, interval: int) -> Pick:
    """Against the SegFormer that is published for the backbone: of those compared with, the one with the widest head."""

    def pick(row: SuiteRow) -> float | None:
        rivals = [
            rival
            for item in row.amortised
            if item.interval == interval
            for rival in item.against
            if rival.kind == kind
        ]
        return max(rivals, key=lambda rival: rival.width).ratio.median if rivals else None

    return pick


def _case(suite: Suite, name: str) -> SuiteCase | None:
    part = suite.part(name)
    return part.cases[0] if part and part.cases else None


def _ratio(key: str, goal: str, wanted: float, case: SuiteCase | None, precision: str, pick: Pick) -> Verdict:
    """The fastest engine of this precision whose labels are right."""
    asked = f"≥ {wanted:g}×"
    enough = INT8_LABELS if precision == "int8" else SAME_LABELS
    found = [
        (value, row.agreement, f"{times(value)} ({row.engine}; labels {equal_labels(row.agreement)} equal)")
        for row in _ours(case)
        if row.precision == precision and row.agreement is not None and (value := pick(row)) is not None
    ]
    if not found:
        return Verdict(key, goal, asked, "not measured", None)
    right = [item for item in found if item[1] >= enough]
    if not right:
        wrong = ", ".join(measured for _, _, measured in found)
        return Verdict(key, goal, asked, wrong, False, "labels that differ")
    value, _, measured = max(right)
    return Verdict(key, goal, asked, measured, value >= wanted, _short(value, wanted))


def _at_most(
    key: str, goal: str, allowed: float, case: SuiteCase | None, pick: Callable[[SuiteRow], Spread | None]
) -> Verdict:
    """The fastest in fp16 whose labels are right; allowed: ms."""
    asked = f"≤ {allowed:.1f} ms"
    found = []
    for row in _ours(case):
        taken = pick(row)
        if row.precision == "fp16" and row.agreement is not None and taken:
            measured = f"{ms(taken.median)} ms ({row.runs_on}; labels {equal_labels(row.agreement)} equal)"
            found.append((taken.median, row.agreement, measured))
    if not found:
        return Verdict(key, goal, asked, "not measured", None)
    right = [item for item in found if item[1] >= HALF_LABELS]
    if not right:
        return Verdict(key, goal, asked, ", ".join(text for _, _, text in found), False, "labels that differ")
    value, _, measured = min(right)
    return Verdict(key, goal, asked, measured, value <= allowed, _over(value, allowed))


def _tail(key: str, goal: str, allowed: float, way: Way | None) -> Verdict:
    asked = f"≤ {allowed:g}"
    if way is None:
        return Verdict(key, goal, asked, "not measured", None)
    tail = way.p99_ms / way.p50_ms
    return Verdict(key, goal, asked, f"{tail:.2f} ({way.name})", tail <= allowed, _over(tail, allowed))


def _ours(case: SuiteCase | None) -> list[SuiteRow]:
    return [row for row in case.rows if row.kind == DCFM and not row.skipped] if case else []


def _short(value: float, wanted: float) -> str:
    return "" if value >= wanted else f"{100 * (1 - value / wanted):.0f} %"


def _over(value: float, allowed: float) -> str:
    return "" if value <= allowed else f"{100 * (value / allowed - 1):.0f} %"


def _label_map(suite: Suite) -> Verdict:
    goal, asked = "label map, 19 classes, 128×256 → 720p, against torch interpolate + argmax", "≥ 60×"
    part = suite.part("label_map")
    if not part or not part.label_maps:
        return Verdict("label_map", goal, asked, "not measured", None)
    row = part.label_maps[0]
    measured = f"{times(row.ratio.median)} (labels {equal_labels(row.equal)} equal)"
    reached = row.ratio.median >= 60 and row.equal >= SAME_LABELS
    return Verdict("label_map", goal, asked, measured, reached, _short(row.ratio.median, 60))


def _shipped(case: SuiteCase | None) -> Verdict:
    goal, asked = "shipped model, CPU, other frame", "≥ 60 FPS on two cores"
    rows = [row for row in _ours(case) if row.other and (row.agreement or 0) >= SAME_LABELS]
    if not rows:
        return Verdict("shipped", goal, asked, "not measured", None)
    best = min(rows, key=lambda row: row.other.median if row.other else 0)
    assert best.other and case
    rate = 1e3 / best.other.median
    measured = (
        f"{rate:.0f} FPS at {size(case.size)} ({best.engine} {best.precision}, {ms(best.other.median)} ms)"
    )
    return Verdict("shipped", goal, asked, measured, rate >= 60, _short(rate, 60))


def _steady(steady: Steady | None) -> list[Verdict]:
    goal = "background mode, key frame every 10, MiT-B2, a frame every 250 ms"
    if steady is None or steady.default is None or steady.inline is None:
        return [Verdict("steady", goal, "p99 / p50 ≤ 1.5", "not measured", None)]
    ours, inline = steady.default, steady.inline
    return list(_background(goal, ours, inline))


def _background(goal: str, ours: Way, inline: Way) -> Iterable[Verdict]:
    yield _tail("steady_tail", f"{goal}: p99 / p50", 1.5, ours)
    share = ours.p99_ms / inline.p99_ms
    yield Verdict(
        "steady_inline",
        "the same: p99 against inline's",
        "≤ 1/8",
        f"1/{1 / share:.1f}",
        share <= 1 / 8,
        _over(share, 1 / 8),
    )
    slower = ours.p50_ms / inline.p50_ms
    yield Verdict(
        "steady_p50",
        "the same: p50 against inline's",
        "within 5 %",
        f"{100 * (slower - 1):+.0f} %",
        slower <= 1.05,
        _over(slower, 1.05),
    )
    yield Verdict(
        "steady_dropped",
        "the same: frames dropped",
        "none",
        equal_labels(ours.dropped),
        ours.dropped == 0,
        equal_labels(ours.dropped),
    )


def _node(suite: Suite) -> list[Verdict]:
    goal, asked = "node outside the segmenter (convert, publish), 720p bgr8 in, mono8 out", "≤ 5 ms p50"
    extra, at_most = "the same: each extra output at 30 Hz", "≤ 10 % of a core"
    part = suite.part("node")
    rows = [row for row in part.node if row.size == (1280, 720)] if part else []
    base = [row for row in rows if row.outputs == "mask" and row.mode == "background"]
    if not base:
        return [Verdict("node_outside", goal, asked, "not measured", None)]
    found = [
        Verdict(
            "node_outside",
            goal,
            asked,
            f"{ms(base[0].outside_p50_ms)} ms",
            base[0].outside_p50_ms <= 5,
            _over(base[0].outside_p50_ms, 5),
        )
    ]
    costs = part.outputs if part else ()
    if not costs:
        found.append(Verdict("node_output", extra, at_most, "not measured", None))
    else:
        worst = max(costs, key=lambda row: row.extra_cores)
        measured = ", ".join(f"{row.output} {100 * row.extra_cores:.0f} %" for row in costs)
        found.append(
            Verdict(
                "node_output",
                extra,
                at_most,
                measured,
                worst.extra_cores <= 0.1,
                _over(worst.extra_cores, 0.1),
            )
        )
    return found
