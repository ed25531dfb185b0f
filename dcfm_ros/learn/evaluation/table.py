"""An evaluation as aligned text for the terminal; the same cells make the tables of `docs/results.md`."""

from __future__ import annotations

from collections.abc import Sequence

from dcfm_ros.learn.evaluation.config import BIDIRECTIONAL, CAUSAL, COPIED, WARPED
from dcfm_ros.learn.evaluation.report import Evaluation, Report, Row

NAMES = {
    CAUSAL: "DCFM",
    BIDIRECTIONAL: "DCFM, looking ahead",
    COPIED: "mask copied",
    WARPED: "mask moved by optical flow",
}
HEADER = (
    "method",
    "key frames",
    "mIoU",
    "loss",
    "wIoU",
    "mAcc",
    "VC8",
    "VC16",
    "GMAC",
    "ms",
    "FPS",
    "speed-up",
)
NONE = "–"
# As many columns as a terminal of 100 characters holds.
PER_CLASS_COLUMNS = 7

Table = list[list[str]]


def main_table(evaluation: Evaluation) -> Table:
    """A header and one line per row: accuracies in percent, loss in points of mIoU below every-frame DCFM."""
    per_frame = per_frame_row(evaluation)
    return [list(HEADER), *(_cells(row, per_frame) for row in evaluation.rows)]


def class_table(evaluation: Evaluation) -> Table:
    """IoU of each class in percent: a line per class, a column per schedule of DCFM as a robot has it."""
    rows = [row for row in evaluation.rows if row.method == CAUSAL][:PER_CLASS_COLUMNS]
    header = ["IoU", *(schedule_of(row) for row in rows)]
    lines = [
        [name, *(percent(row.per_class_iou[index]) for row in rows)]
        for index, name in enumerate(evaluation.classes)
    ]
    return [header, *lines]


def per_frame_row(evaluation: Evaluation) -> Row:
    """The row all others are compared with: every frame is a key frame."""
    return next(row for row in evaluation.rows if row.method == CAUSAL and row.key_interval == 1)


def schedule_of(row: Row) -> str:
    """When key frames are taken, in words."""
    if row.trigger:
        return f"{row.trigger} ({100 * row.key_share:.0f} %)"
    return "every frame" if row.key_interval == 1 else f"every {row.key_interval}"


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def headline(evaluation: Evaluation) -> list[str]:
    """What was measured, in two lines: the model and the data."""
    model, data = evaluation.model, evaluation.data
    return [
        f"{model.name}: {model.backbone}, {model.parameters / 1e6:.2f} M parameters, "
        f"{size(model.input_size)}, "
        f"{model.macs_key / 1e9:.2f} GMAC per key frame, {model.macs_other / 1e9:.2f} per other frame; "
        f"{model.engine} {model.precision} on {model.device}",
        f"{data.name} {data.split}: {data.labelled} labelled frames of {data.frames}, {_videos(evaluation)}",
    ]


def size(pixels: tuple[int, int]) -> str:
    return f"{pixels[0]}×{pixels[1]}"


def terminal(report: Report) -> str:
    """The whole report as text."""
    blocks = []
    for evaluation in report.evaluations:
        blocks += [
            "\n".join(headline(evaluation)),
            aligned(main_table(evaluation)),
            aligned(class_table(evaluation)),
        ]
    return "\n\n".join(blocks)


def aligned(table: Table) -> str:
    """Columns as wide as their widest cell: words to the left, numbers to the right, a rule below the head."""
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    words = [any(cell[:1].isalpha() for cell in column[1:]) for column in zip(*table, strict=True)]

    def text(line: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, words, strict=True)
        )
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([text(table[0]), rule, *map(text, table[1:])])


def _cells(row: Row, per_frame: Row) -> list[str]:
    return [
        NAMES[row.method],
        schedule_of(row),
        percent(row.mean_iou),
        NONE if row is per_frame else f"{100 * (per_frame.mean_iou - row.mean_iou):.1f}",
        percent(row.weighted_iou),
        percent(row.mean_accuracy),
        percent(row.vc8),
        percent(row.vc16),
        f"{row.macs / 1e9:.2f}",
        f"{row.mean_ms:.1f}",
        f"{row.fps:.1f}",
        f"{row.speed_up:.2f}×",
    ]


def _videos(evaluation: Evaluation) -> str:
    data = evaluation.data
    if not data.fps:
        return f"no video (frames stand alone), {size(data.size)}"
    noun = "video" if data.videos == 1 else "videos"
    return f"{data.videos} {noun} at {data.fps:.0f} Hz, {size(data.size)}"
