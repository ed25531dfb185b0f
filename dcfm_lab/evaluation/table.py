"""An evaluation in tables, for the terminal and for `docs/results.md`."""

from __future__ import annotations

from dcfm_lab.evaluation.config import CAUSAL, METHODS
from dcfm_lab.evaluation.report import Evaluation, Report, Row
from dcfm_lab.measure.spread import times
from dcfm_ros.measure.table import Table, number, size

# As many columns as a terminal of 100 characters holds.
PER_CLASS_COLUMNS = 7


def main_table(evaluation: Evaluation, *, brief: bool = False) -> Table:
    """One line per row: accuracies in percent, loss in points of mIoU below every-frame DCFM.

    brief: without triggers where not every frame has an independent feature.
    """
    per_frame = per_frame_row(evaluation)
    return Table.of(
        [row for row in evaluation.rows if not (brief and row.trigger and row.independent_interval > 1)],
        (
            ("method", method_of),
            ("key frames", schedule_of),
            ("mIoU", points, "mean_iou"),
            ("loss", lambda row: points(None if row is per_frame else per_frame.mean_iou - row.mean_iou)),
            ("wIoU", points, "weighted_iou"),
            ("mAcc", points, "mean_accuracy"),
            ("VC8", points, "vc8"),
            ("VC16", points, "vc16"),
            ("GMAC", lambda row: number(row.macs / 1e9, ".2f")),
            ("ms", number, "mean_ms"),
            ("FPS", number, "fps"),
            ("speed-up", times, "speed_up"),
        ),
    )


def in_hand_table(evaluation: Evaluation) -> Table | None:
    """mIoU in percent of the mask in hand when a frame comes: a line per row that has one, a column per camera rate, or for
    several where no row tells them apart."""
    rows = [row for row in evaluation.rows if row.in_hand]
    if not rows:
        return None
    alike: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(rows[0].in_hand)):
        alike.setdefault(tuple(points(row.in_hand[i].mean_iou) for row in rows), []).append(i)
    rates = [
        (", ".join(f"{rows[0].in_hand[i].rate:g}" for i in each) + " Hz", each) for each in alike.values()
    ]
    return Table.of(
        rows,
        (
            ("mask in hand", method_of),
            ("key frames", schedule_of),
            *((name, lambda row, each=each: points(row.in_hand[each[0]].mean_iou)) for name, each in rates),
            *((f"age, {name}", lambda row, each=each: _ages(row, each)) for name, each in rates),
        ),
    )


def _ages(row: Row, rates: list[int]) -> str:
    """How old the mask in hand is at each."""
    return ", ".join(number(row.in_hand[i].age_ms, ".0f") for i in rates)


def class_table(evaluation: Evaluation) -> Table:
    """IoU of each class in percent: a line per class, a column per schedule of DCFM as a robot has it."""
    ours = [row for row in evaluation.rows if row.method == CAUSAL and row.independent_interval == 1]
    rows = ours[:PER_CLASS_COLUMNS]
    lines = [
        (name, *(points(row.per_class_iou[index]) for row in rows))
        for index, name in enumerate(evaluation.classes)
    ]
    return Table(("IoU", *map(schedule_of, rows)), tuple(lines))


def per_frame_row(evaluation: Evaluation) -> Row:
    """The row all others are compared with: every frame is a key frame."""
    return next(row for row in evaluation.rows if row.method == CAUSAL and row.key_interval == 1)


def method_of(row: Row) -> str:
    """What tables and plots call the way a row was labelled."""
    every = row.independent_interval
    return METHODS[row.method] + (f", independent every {every}" if every > 1 else "")


def schedule_of(row: Row) -> str:
    """When key frames are taken, in words."""
    if row.trigger:
        return f"{row.trigger} ({100 * row.key_share:.0f} %)"
    return "every frame" if row.key_interval == 1 else f"every {row.key_interval}"


def points(share: float | None) -> str:
    """A share, 0-1, in percent without the sign."""
    return number(None if share is None else 100 * share)


def headline(evaluation: Evaluation) -> list[str]:
    """What was measured, in two lines: the model and the data."""
    model, data = evaluation.model, evaluation.data
    return [
        f"{model.name}: {model.backbone}, {model.parameters / 1e6:.2f} M parameters, "
        f"{size(model.input_size)}, "
        f"{model.macs_key / 1e9:.2f} GMAC per key frame, {model.macs_other / 1e9:.2f} per other frame; "
        f"{model.engine} {model.precision} on {model.device}, align {model.align}",
        f"{data.name} {data.split}: {data.labelled} labelled frames of {data.frames}, {_videos(evaluation)}"
        + (f"; interrupted: the last {evaluation.left_out} were not measured" if evaluation.left_out else ""),
    ]


def terminal(report: Report) -> str:
    """The whole report as text."""
    blocks = []
    for evaluation in report.evaluations:
        blocks += [
            "\n".join(headline(evaluation)),
            main_table(evaluation).text(),
            *(table.text() for table in [in_hand_table(evaluation)] if table),
            class_table(evaluation).text(),
        ]
    return "\n\n".join(blocks)


def _videos(evaluation: Evaluation) -> str:
    data = evaluation.data
    if not data.fps:
        return f"no video (frames stand alone), {size(data.size)}"
    noun = "video" if data.videos == 1 else "videos"
    return f"{data.videos} {noun} at {data.fps:.0f} Hz, {size(data.size)}"
