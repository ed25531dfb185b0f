"""A grid of settings over one recording: what each costs, how good it is, and which one to take."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.labels import open_labels
from dcfm_ros.media.open_source import open_source
from dcfm_ros.replay.job import Job, Setting, node_parameters, variants
from dcfm_ros.replay.outputs import RUNS, prepare
from dcfm_ros.replay.replayer import check_input, run_job
from dcfm_ros.replay.report.report import Report, in_common
from dcfm_ros.replay.sinks import MASK
from dcfm_ros.stream.trigger_grammar import OFF

# A smaller difference in quality is not worth its cost: two tenths of a percentage point.
TOLERANCE = 0.002
_REFERENCE = "reference"


@dataclass(frozen=True)
class Point:
    """A run of the grid. Shares are 0-1, NaN where not known.

    quality: mIoU, or the share of pixels labelled as when every frame is a key frame; as on the robot, that of the
    newest mask finished when each frame arrives, so that late and dropped masks count.
    """

    name: str
    settings: dict[str, str]
    quality: float = math.nan
    cost_ms: float = math.nan  # computing time per frame, common branch included wherever it ran
    latency_p95: float = math.nan
    lost: float = math.nan
    key_frames: float = math.nan
    flow_consistency: float = math.nan
    problem: str = ""  # why there are no numbers; "" where there are
    page: str = ""  # the report, relative to the sweep's folder


@dataclass(frozen=True)
class Sweep:
    """All runs of a grid, and the one recommended."""

    points: tuple[Point, ...]
    quality: str  # what the points' is, in words
    rate: float | None  # Hz that the recommendation is for, None where unknown
    budget_ms: float  # the latency it must keep
    best: Point | None  # None when no run keeps up
    why: str  # the reason for either
    settings: dict[str, str] = field(default_factory=dict)  # what all runs have in common, in words
    machine: dict[str, str] = field(default_factory=dict)  # as the settings
    parameters: dict[str, str] = field(default_factory=dict)  # the best point's, as the node takes them
    others_cores: float | None = None  # that everything else kept busy, at most
    interrupted: bool = False
    failed: tuple[str, ...] = ()  # what was asked for and is not there, or not whole: why

    def pareto(self) -> list[Point]:
        """The points that no other one beats in both quality and cost, cheapest first."""
        front: list[Point] = []
        for point in sorted(_known(self.points), key=lambda p: (p.cost_ms, -p.quality)):
            if not front or point.quality > front[-1].quality:
                front.append(point)
        return front


def run_sweep(job: Job, axes: Sequence[Sequence[Setting]], stop: Callable[[], bool]) -> Sweep:
    """Run the grid, one run after the other so that each is measured alone.

    Without ground truth every run is compared with one in which every frame is a key frame, at the largest size.

    job: what all runs have in common; its folder gets one report per run. Its rate and its budget are those
    that the recommendation is for.
    Raises DcfmError: settings that make no sense, or no run worked.
    """
    grid = variants(
        dataclasses.replace(job, bag=False, video=False, masks=None, merge=False, force=False), axes
    )
    on_odometry = [variant for _, variant in grid if variant.stream.wants_odometry]
    if on_odometry:
        check_input(on_odometry[0])
    prepare(job.folder, force=job.force, read=job.read)
    is_truth = job.labels is not None or _has_labels(job)
    quality = "mIoU" if is_truth else "share of pixels labelled as when every frame is a key frame"
    if job.clock == "robot":
        quality += ", of the newest mask finished when each frame arrives"
    runs = _Runs()
    if not is_truth:
        labels = runs.reference(_reference(job, [variant for _, variant in grid]), stop)
        grid = [
            (settings, dataclasses.replace(variant, labels=labels, grouped_labels=True))
            for settings, variant in grid
        ]
    runs.all_of(grid, job.folder, stop, is_truth=is_truth)
    points, reports = runs.points, runs.reports
    recorded = next((report.interval_ms for report in reports if report.interval_ms), None)
    interval_ms = 1e3 / job.rate if job.rate else recorded
    budget = job.budget_ms or interval_ms or math.inf
    best, why = recommend(points, interval_ms, budget, count_losses=job.rate is None)
    return Sweep(
        tuple(points),
        quality,
        rate=1e3 / interval_ms if interval_ms else None,
        budget_ms=budget,
        best=best,
        why=why,
        **{name: in_common(getattr(report, name) for report in reports) for name in ("settings", "machine")},
        parameters=_parameters(grid, axes, best),
        others_cores=max((report.others_cores or 0.0 for report in reports), default=None),
        interrupted=runs.interrupted,
        failed=tuple(runs.failed),
    )


class _Runs:
    """What the runs of a grid gave. failed: what was asked for and is not there, or not whole; each reason once."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.reports: list[Report] = []
        self.failed: dict[str, None] = {}
        self.interrupted = False

    def reference(self, job: Job, stop: Callable[[], bool]) -> str:
        """Every frame as a key frame; returns where the masks are, as labels. KeyboardInterrupt where it was ended."""
        done = run_job(job, stop)
        if done.interrupted:
            raise KeyboardInterrupt
        self.failed.update(dict.fromkeys(done.failed))
        return f"{job.folder / 'bag'}:{MASK}"

    def all_of(
        self,
        grid: Sequence[tuple[dict[str, str], Job]],
        folder: Path,
        stop: Callable[[], bool],
        *,
        is_truth: bool,
    ) -> None:
        """One run after the other. DcfmError where all fail, KeyboardInterrupt where the first was ended at its start."""
        for settings, variant in tqdm(grid, unit="run", desc="sweeping", dynamic_ncols=True, disable=None):
            if stop():
                self.interrupted = True
                break
            name = ", ".join(settings.values())
            try:
                done = run_job(variant, stop, quiet=True)
            except DcfmError as error:
                self.points.append(Point(name, settings, problem=str(error)))
                self.failed[f"{name} failed: {error}"] = None
                continue
            except KeyboardInterrupt:
                self.interrupted = True
                break
            self.reports.append(done.report)
            self.failed.update(dict.fromkeys(done.failed))
            page = done.page.relative_to(folder).as_posix()
            self.points.append(point_of(name, settings, done.report, page, is_truth=is_truth))
        if not self.points and self.interrupted:
            raise KeyboardInterrupt
        if self.points and all(point.problem for point in self.points):
            told = self.points[0].problem
            before = next(
                (f" Before that: {reason}" for reason in self.failed if not reason.endswith(told)), ""
            )
            raise DcfmError(f"Every run of the sweep failed. The first: {told}{before}")


def _parameters(
    grid: Sequence[tuple[dict[str, str], Job]], axes: Sequence[Sequence[Setting]], best: Point | None
) -> dict[str, str]:
    """Those of the best run, as the node takes them, with everything that was swept; none where no run keeps up."""
    swept = {name for axis in axes for setting in axis for name in setting.values} - {"phase"}
    return next((node_parameters(run, swept) for chosen, run in grid if best and chosen == best.settings), {})


def _has_labels(job: Job) -> bool:
    """Whether labels lie beside a folder of images, where they are found without being named."""
    with open_source(job.input, job.topic, rate=job.rate) as source:
        return bool(open_labels(source, None).name)


def _reference(job: Job, runs: Sequence[Job]) -> Job:
    """Every frame a key frame, at the largest size of the grid, with the first engine: what reuse is measured against."""
    largest = max(runs, key=lambda run: run.stream.input_size[0] * run.stream.input_size[1])
    stream = dataclasses.replace(largest.stream, **{**OFF, "key_interval": 1}, mode="inline", agreement=False)
    folder = job.folder / RUNS / _REFERENCE
    same = {name: getattr(job, name) for name in ("weights", "topic", "frames", "rate")}
    return Job(job.input, folder, stream, runs[0].engine, **same, video=False, confidence=False)


def point_of(name: str, settings: dict[str, str], report: Report, page: str, *, is_truth: bool) -> Point:
    """A run's numbers as a point of the sweep."""
    summary, matrix = report.summary, report.run.latest_mask or report.run.confusion
    quality = math.nan
    if matrix is not None and matrix.pixels:
        quality = matrix.mean_iou if is_truth else matrix.pixel_accuracy
    steps = sum(spread.mean * spread.count for spread in summary.steps.values())
    common = summary.common_ms.mean * summary.common_ms.count if summary.common_ms else 0.0
    return Point(
        name,
        settings,
        quality=quality,
        cost_ms=(steps + common) / summary.masks_out if summary.masks_out else math.nan,
        latency_p95=summary.latency.percentiles[95] if summary.latency else math.nan,
        lost=summary.lost / summary.frames_in,
        key_frames=summary.key_frame_count / max(1, summary.masks_out),
        flow_consistency=summary.flow_consistency.mean if summary.flow_consistency else math.nan,
        page=page,
    )


def recommend(
    points: Sequence[Point], interval_ms: float | None, budget_ms: float, *, count_losses: bool
) -> tuple[Point | None, str]:
    """The best point that keeps up with the camera and the budget, and why; None when none does.

    Of points whose quality differs by less than `TOLERANCE` from the best one's, the cheapest.

    interval_ms: time between two frames; None: any cost will do. count_losses: a run that lost frames does not
    keep up.
    """
    known = _known(points)
    if not known:
        return None, "no run has numbers to compare"
    limit = interval_ms or math.inf
    able = [
        point
        for point in known
        if point.cost_ms <= limit and point.latency_p95 <= budget_ms and not (count_losses and point.lost > 0)
    ]
    if not able:
        closest = min(known, key=lambda point: max(point.cost_ms / limit, point.latency_p95 / budget_ms))
        return None, (
            f"closest is {closest.name} with {closest.cost_ms:.1f} ms of computing per frame and 95 % "
            f"of the frames within {closest.latency_p95:.1f} ms"
            + (f", {closest.lost:.1%} of the frames lost" if closest.lost else "")
        )
    top = max(point.quality for point in able)
    best = min((point for point in able if point.quality >= top - TOLERANCE), key=lambda point: point.cost_ms)
    return best, (
        f"{best.cost_ms:.1f} ms of computing per frame, 95 % of the frames within {best.latency_p95:.1f} ms; "
        f"{len(able)} of {len(known)} runs keep up, and none of them is better by more than {TOLERANCE:.1%}"
    )


def _known(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if not (math.isnan(point.quality) or math.isnan(point.cost_ms))]
