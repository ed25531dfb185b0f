"""The sections of `docs/speed.md` that tell what was measured on one machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from goals import SAME_LABELS
from markdown import link
from parts import (
    NAMES,
    PUBLISHED,
    SEGFORMER,
    TUNED,
    LabelMapRow,
    NodeRow,
    OutputRow,
    RateRow,
    Suite,
    SuiteCase,
    SuitePart,
    SuiteRow,
)
from steady_result import Steady, steady_table

from dcfm_lab.bench.result import BUSY, DCFM, MemoryRow
from dcfm_lab.bench.table import (
    amortised_table,
    case_tables,
    equal_labels,
    mean_ms,
    spread_ms,
    spread_times,
)
from dcfm_lab.measure.spread import ms
from dcfm_ros.measure.table import Table, number, percent, size

PICTURES = "pictures"
SHORT = {SEGFORMER: "transformers", TUNED: "all tricks"}
AGAINST_AT = (10, 20)


def part_sections(part: SuitePart, on: str) -> list[str]:
    """What one part compares. on: what the headings say of the machine, "" for a CPU."""
    sections = [case_section(case, part, on) for case in part.cases]
    if part.label_maps:
        sections.append(label_map_section(part.label_maps, on))
    return sections


def whole_sections(part: SuitePart, on: str) -> list[str]:
    """Of one part what is about the whole: the node, and what a process needs."""
    sections = [node_section(part, on)] if part.node else []
    return sections + ([memory_section(part.memory, on)] if part.memory else [])


def fastest_fp32(case: SuiteCase) -> SuiteRow | None:
    """Of our rows in fp32 with the right labels the fastest at K = 10; None where there is none."""
    rows = [
        row
        for row in case.rows
        if row.kind == DCFM
        and row.precision == "fp32"
        and row.amortised
        and (row.agreement or 0) >= SAME_LABELS
    ]
    return min(rows, key=lambda row: mean_ms(row, 10), default=None)


def case_title(case: SuiteCase) -> str:
    """Model and size."""
    return f"{case.backbone}, {case.classes} classes, {size(case.size)}"


def picture(case: SuiteCase, on: str) -> str:
    """File name of a case's plot."""
    return f"speed_{case.name}{'_gpu' if on else ''}.svg"


def case_section(case: SuiteCase, part: SuitePart, on: str) -> str:
    """One case: times and ratios, the mean over K, the stages, what could not be measured."""
    *tables, stages = case_tables(case)
    fastest = fastest_fp32(case)
    shown = (NAMES[PUBLISHED], *([fastest.title] if fastest else []))
    stages = Table(stages.head, tuple(row for row in stages.rows if row[0].startswith(shown)))
    against = against_table(case)
    tables += [against] if against else []
    blocks = [f"## {case_title(case)}{on}"]
    blocks += [
        f"{case.weights} weights, {case.rounds} rounds. `python bench/run.py --suite {part.name}`",
        *(table.markdown() for table in tables),
    ]
    if amortised_table(case):
        blocks.append(f"![Mean milliseconds per frame over K]({PICTURES}/{picture(case, on)})")
    blocks.append(stages.markdown())
    skipped = [f"- {row.engine} {row.precision}: {row.skipped}" for row in case.rows if row.skipped]
    return "\n\n".join(blocks + (["Not measured here:", "\n".join(skipped)] if skipped else []))


def against_table(case: SuiteCase) -> Table | None:
    """The mean cost at K = 10 and 20 against each per-frame SegFormer; None where there was none."""
    rows = [row for row in case.rows if row.kind == DCFM and row.amortised and row.amortised[0].against]
    if not rows:
        return None
    places = [(i, k) for i in range(len(rows[0].amortised[0].against)) for k in AGAINST_AT]
    rivals = rows[0].amortised[0].against
    head = [f"{SHORT[rivals[i].kind]}, head of {rivals[i].width}, K = {k}" for i, k in places]
    lines = []
    for row in rows:
        items = {item.interval: item for item in row.amortised}
        lines.append((row.title, *(spread_times(items[k].against[i].ratio) for i, k in places)))
    return Table(("times faster than per-frame SegFormer", *head), tuple(lines))


def label_map_table(rows: Iterable[LabelMapRow]) -> Table:
    """The label map against torch."""
    return Table.of(
        rows,
        (
            "logits",
            "classes",
            ("from", size, "low"),
            ("to", size, "size"),
            ("torch, ms", spread_ms, "torch_ms"),
            ("ours, ms", spread_ms, "ours_ms"),
            ("times faster", spread_times, "ratio"),
            ("equal labels", equal_labels, "equal"),
        ),
    )


def label_map_section(rows: Sequence[LabelMapRow], on: str) -> str:
    """From logits to labels at full size."""
    text = (
        "`street`: a street's regions with soft borders and unsure spots, as a trained network gives them. `noise`: "
        "independent random numbers, the worst there is."
    )
    return "\n\n".join([f"## Label map{on}", text, label_map_table(rows).markdown()])


def memory_section(rows: Sequence[MemoryRow], on: str) -> str:
    """A process for each engine."""
    table = Table.of(
        rows,
        (
            ("", lambda row: f"{row.case}, {row.kind}"),
            ("engine", lambda row: row.runs_on),
            ("peak, MiB", lambda row: number(row.peak_mib, ".0f")),
            ("of it before there was a model, MiB", lambda row: number(row.imports_mib, ".0f")),
        ),
    )
    text = "Resident memory at its peak while a fresh process segments four frames."
    return "\n\n".join([f"## Memory{on}", text, table.markdown()])


def node_section(part: SuitePart, on: str) -> str:
    """The node as a whole."""
    text = (
        "Camera, node and reader are processes of their own on one machine; the image is `bgr8`, the mask `mono8`, both of "
        "the size given; the shipped model's network sees pictures of its card's size. Latency runs from just before the image is "
        "published to the mask's arrival; *outside* is the part of the node that is not the segmenter. "
        "`python bench/node.py`"
    )
    blocks = [f"## The node{on}", text, node_table(part.node).markdown()]
    if part.outputs:
        blocks += ["What each output costs beside the mask:", output_table(part.outputs).markdown()]
    if part.rates:
        blocks += ["Of the rates tried, the largest at which every image got its mask:"]
        blocks += [rate_table(part.rates).markdown()]
    return "\n\n".join(blocks)


def node_table(rows: Sequence[NodeRow]) -> Table:
    """Latency, losses and load."""
    return Table.of(
        rows,
        (
            ("", size, "size"),
            "mode",
            "outputs",
            ("Hz", lambda row: number(row.rate_hz, "g")),
            "sent",
            "dropped",
            ("masks", str, "received"),
            *((f"{p}, ms", ms, f"{p}_ms") for p in ("p50", "p95", "p99")),
            ("outside p50 / p99, ms", lambda row: f"{ms(row.outside_p50_ms)} / {ms(row.outside_p99_ms)}"),
            ("cores", lambda row: number(row.cpu_cores, ".2f")),
        ),
    )


def output_table(rows: Sequence[OutputRow]) -> Table:
    """The cost of each output."""
    return Table.of(
        rows,
        (
            "output",
            ("image", size, "size"),
            ("Hz", lambda row: number(row.rate_hz, "g")),
            ("extra, share of a core", lambda row: percent(row.extra_cores)),
        ),
    )


def rate_table(rows: Sequence[RateRow]) -> Table:
    """How many images a second the node keeps up with."""
    return Table.of(
        rows,
        (
            ("image", size, "size"),
            "mode",
            ("largest rate without loss, Hz", lambda row: number(row.rate_hz, "g")),
            ("rates tried, Hz", lambda row: ", ".join(number(hz, "g") for hz in row.tried_hz)),
        ),
    )


def steady_section(runs: Iterable[Steady], on: str) -> str:
    """The ways to run the common branch."""
    text = (
        "A camera gives a frame every so many milliseconds whatever happens, and latency runs from then to the mask; one "
        "that was never begun when the next came is dropped. The ways to compute key frames take turns in one run "
        "(`python bench/steady.py`). Age is that of the common feature in use."
    )
    blocks = [f"## Steady latency{on}", text]
    for run in runs:
        blocks += [f"{run.title}:", steady_table(run).markdown()]
    return "\n\n".join(blocks)


def machine_section(suite: Suite, path: Path, page: Path, on: str) -> str:
    """Where and when. path: of the suite's file."""
    facts = suite.parts[-1].machine if suite.parts else {}
    runs = Table.of(
        suite.parts,
        (
            ("part", lambda part: part.name),
            ("measured", lambda part: part.created.replace("T", " ")[:16] + " UTC"),
            ("took, s", lambda part: number(part.seconds, ".0f")),
            ("cores that other processes kept busy", lambda part: number(part.others_cores, ".2f")),
        ),
    )
    blocks = [f"## Machine{on}", f"All numbers: [{path.name}]({link(path, page)})."]
    return "\n\n".join([*blocks, Table(("", ""), tuple(facts.items())).markdown(), runs.markdown()])


def disturbed(suite: Suite) -> list[str]:
    """Which parts were measured while the machine had other work; empty where none was."""
    parts = [
        f"{part.name} ({part.others_cores:.1f} cores)"
        for part in suite.parts
        if part.others_cores > BUSY and not part.memory
    ]
    if not parts:
        return []
    return [
        "Measured while other processes used the machine, which slows some contestants more than others, so that both "
        f"times and ratios are to be taken with care: {', '.join(parts)}."
    ]
