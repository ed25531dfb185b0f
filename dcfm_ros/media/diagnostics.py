"""What /diagnostics says of a stream and its engine, from a node and from a replay alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import faster
from dcfm_ros.measure.spread import percentiles
from dcfm_ros.measure.table import counted
from dcfm_ros.media.health import Report

HARDWARE_ID = "dcfm"
OK, WARN, ERROR = 0, 1, 2  # as in diagnostic_msgs/DiagnosticStatus
TOPICS = ("input", "processing", "common feature")


@dataclass(frozen=True)
class Status:
    """A diagnostic_msgs/DiagnosticStatus without ROS; values are shown as text."""

    name: str
    level: int
    message: str
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What is judged as late: a mean above `budget_ms` is a warning, and an error after `over_budget_s`."""

    budget_ms: float
    over_budget_s: float = math.inf
    input_timeout_s: float = math.inf


@dataclass(frozen=True)
class Input:
    """What is known of the images' publishers."""

    publishers: int = 1  # now
    incompatible: str = ""  # why one of them cannot be heard, "" where all can
    clock_stands: bool = False  # simulated time is used and does not move: silence is no fault then
    no_clock: bool = False  # simulated time is used and nobody tells it
    loss_hint: str = ""  # a remedy for lost images
    memory: str = ""  # what is wrong with the memory that they come through, "" if nothing


class CameraDiagnostics:
    """Judges one camera's reports: statuses input, processing and common feature."""

    def __init__(self, prefix: str, topic: str) -> None:
        """`prefix` goes before each status's name."""
        self._prefix = prefix
        self._topic = topic
        self._over_budget_s = 0.0

    def statuses(
        self, report: Report, limits: Limits, source: Input, *, enabled: bool = True
    ) -> list[Status]:
        """One status for each of TOPICS. enabled: false when paused by the service."""
        if not report.running:
            message = "inactive" if enabled else "paused by ~/enable"
            return [Status(self._prefix + name, OK, message) for name in TOPICS]
        return [self._input(report, limits, source), self._processing(report, limits), self._common(report)]

    def _input(self, report: Report, limits: Limits, source: Input) -> Status:
        counts = report.counts
        rate = _rate(report.new.received, report.seconds)
        size = report.last.size if report.last else None
        level, message = self._judge_input(report, limits, source) or (OK, f"{rate} images/s")
        values = {
            "topic": self._topic,
            "publishers": source.publishers,
            "image size": f"{size[0]}x{size[1]}" if size else "",
            "images per second": rate,
            "received": counts.received,
            "failed": counts.failed,
            "lost by the middleware": counts.lost,
            "shared memory": source.memory,
            "last reason": _commonest(report.bad_images),
        }
        return Status(f"{self._prefix}input", level, message, values)

    def _judge_input(self, report: Report, limits: Limits, source: Input) -> tuple[int, str] | None:
        """Level and message of what is worth saying about the images; None: nothing."""
        now = report.new
        where = f"on {self._topic} ({counted(source.publishers, 'publisher')})"
        if report.silent_s == math.inf:
            if source.incompatible:
                return ERROR, source.incompatible
            lost = report.counts.lost
            why = f"; {lost} lost on the way to the node; {source.loss_hint}" if lost else ""
            return WARN, f"waiting for images {where}{why}"
        if source.clock_stands and now.received == 0:
            return OK, "simulated time stands still"
        if report.silent_s > limits.input_timeout_s:
            return ERROR, f"no image for {report.silent_s:.1f} s {where}"
        if bad := report.bad_images:
            level = ERROR if now.failed >= now.received else WARN
            return level, f"{counted(bad.total(), 'unusable image')}: {_commonest(bad)}"
        if report.standing:
            return ERROR, (
                f"the camera's stamps stand still: {report.standing} of {now.received} images have that of the image "
                f"before; the time of their arrival is used"
            )
        if now.lost:
            return WARN, f"{counted(now.lost, 'image')} lost on the way to the node; {source.loss_hint}"
        if source.no_clock:
            return WARN, "use_sim_time is set, but nobody publishes /clock"
        if report.no_stamp:
            return WARN, "images have no stamp: the time of their arrival is used for triggers"
        return None

    def _processing(self, report: Report, limits: Limits) -> Status:
        counts = report.counts
        mean, slow = _mean_and_95(report.total_ms)
        latency, late = _mean_and_95(report.latency_ms)
        if report.total_ms:
            self._over_budget_s = self._over_budget_s + report.seconds if mean > limits.budget_ms else 0.0
        rate = _rate(report.new.processed, report.seconds)
        fine = OK, f"{rate} masks/s, {mean:.1f} ms each"
        level, message = self._judge_processing(report, limits, mean) or fine
        values = {
            "masks per second": rate,
            "frame ms, mean": _number(mean),
            "frame ms, 95 %": _number(slow),
            "latency ms, mean": _number(latency),
            "latency ms, 95 %": _number(late),
            "processed": counts.processed,
            "dropped for newer ones": counts.dropped,
            "while nobody subscribed": counts.unwanted,
            "budget ms": limits.budget_ms,
        }
        return Status(f"{self._prefix}processing", level, message, values)

    def _judge_processing(self, report: Report, limits: Limits, mean: float) -> tuple[int, str] | None:
        """Level and message of what is worth saying about the work; None: nothing."""
        if report.errors:
            return ERROR, f"{counted(report.errors.total(), 'failure')}: {_commonest(report.errors)}"
        if mean > limits.budget_ms:
            level = ERROR if self._over_budget_s > limits.over_budget_s else WARN
            return level, f"a frame takes {mean:.1f} ms, over the budget of {limits.budget_ms:g} ms"
        if report.refused:
            return WARN, f"new parameters cannot be used, the previous ones stay in use: {report.refused}"
        if report.total_ms:
            return None
        if report.new.unwanted:
            return OK, "nobody subscribes to an output: images are checked, not segmented"
        return OK, "waiting for the first image" if report.last is None else "no frame since the last report"

    def _common(self, report: Report) -> Status:
        last, name = report.last, f"{self._prefix}common feature"
        if last is None:
            return Status(name, OK, "waiting for the first image")
        level, message = OK, f"{last.age_ms:.0f} ms ({counted(last.age_frames, 'frame')}) old"
        if last.error:
            level, message = ERROR, f"the last refresh failed: {last.error}; {message}"
        elif last.stale:
            level, message = WARN, f"{message}, more than max_age_ms"
        values = {
            "age ms": _number(last.age_ms),
            "age frames": last.age_frames,
            "last common branch ms": _number(last.timing.common),
            "reuse agreement": _number(report.agreement, 4),
            "image motion": _number(last.motion, 4),
            "failures": last.errors,
            **{f"refreshes: {name}": number for name, number in sorted(report.triggers.items())},
        }
        return Status(name, level, message, values)


def engine_status(prefix: str, engine: Engine | None) -> Status:
    """What runs the network, and which one."""
    if engine is None:
        return Status(f"{prefix}engine", OK, "not configured")
    card = engine.card
    values = {
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "model": card.name,
        "classes": len(card.classes),
        "input size": f"{card.input_size[0]}x{card.input_size[1]}",
        "licence": card.licence,
    }
    message = f"{card.name} on {engine.device} ({engine.name}, {engine.precision})"
    if engine.problem:
        return Status(f"{prefix}engine", WARN, f"{engine.problem}; {message}", values)
    if advice := faster(engine):
        message = f"{message}; {advice}"
    return Status(f"{prefix}engine", OK, message, values)


def _commonest(reasons: Counter[str]) -> str:
    return reasons.most_common(1)[0][0] if reasons else ""


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds:.1f}" if seconds > 0 else "0.0"


def _number(value: float, digits: int = 1) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _mean_and_95(values: Sequence[float]) -> tuple[float, ...]:
    return (fmean(values), *percentiles(values, (95,))) if values else (math.nan, math.nan)
