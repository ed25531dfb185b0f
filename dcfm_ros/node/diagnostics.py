"""/diagnostics: is there input, is processing fast enough, is the common feature fresh, what runs the network."""

from __future__ import annotations

import math
import os
from collections import Counter
from statistics import fmean, quantiles
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from dcfm_ros.engines.base import Engine
from dcfm_ros.node.fast_dds import VARIABLES, profile_variable
from dcfm_ros.node.health import Report
from dcfm_ros.node.parameters import NodeConfig

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class CameraDiagnostics:
    """Judges one camera's reports: statuses input, processing and common feature."""

    def __init__(self, prefix: str, topic: str) -> None:
        """`prefix` goes before each status's name."""
        self._prefix = prefix
        self._topic = topic
        self._over_budget_s = 0.0

    def statuses(
        self,
        report: Report,
        config: NodeConfig,
        *,
        publishers: int,
        incompatible: int,
        clock_stands: bool,
        enabled: bool,
    ) -> list[DiagnosticStatus]:
        """One status per topic of interest.

        Args:
            publishers: how many publishers the image topic has now.
            incompatible: how many publishers were found whose QoS does not suit the subscription.
            clock_stands: simulated time is used and does not move: silence is no fault then.
            enabled: false when paused by the service.
        """
        if not report.running:
            message = "inactive" if enabled else "paused by ~/enable"
            return [self._status(name, OK, message, {}) for name in ("input", "processing", "common feature")]
        return [
            self._input(report, config, publishers, incompatible, clock_stands),
            self._processing(report, config),
            self._common_feature(report),
        ]

    def _input(
        self, report: Report, config: NodeConfig, publishers: int, incompatible: int, clock_stands: bool
    ) -> DiagnosticStatus:
        window, now = report.window, report.window.counts
        level, message = OK, f"{_rate(now.received, window.seconds)} images/s"
        if report.silent_s == math.inf:
            level, message = WARN, f"waiting for images on {self._topic} ({publishers} publishers)"
            if incompatible:
                level = ERROR
                message = (
                    f"a publisher of {self._topic} has a QoS that does not suit "
                    f"input_reliability={config.input_reliability}; set it to best_effort"
                )
        elif clock_stands and now.received == 0:
            message = "simulated time stands still"
        elif report.silent_s > config.input_timeout_s:
            level = ERROR
            message = f"no image for {report.silent_s:.1f} s on {self._topic} ({publishers} publishers)"
        elif window.bad_images:
            level = ERROR if now.failed >= now.received else WARN
            message = f"{sum(window.bad_images.values())} images not usable: {_commonest(window.bad_images)}"
        elif now.lost:
            level, message = WARN, f"{now.lost} images lost on the way to the node; {_profile_hint()}"
        elif window.no_stamp:
            level, message = WARN, "images have no stamp: the time of their arrival is used for triggers"
        counts = report.counts
        return self._status(
            "input",
            level,
            message,
            {
                "topic": self._topic,
                "publishers": publishers,
                "image size": report.image_size,
                "images per second": _rate(now.received, window.seconds),
                "received": counts.received,
                "failed": counts.failed,
                "lost by the middleware": counts.lost,
                "last reason": _commonest(window.bad_images),
            },
        )

    def _processing(self, report: Report, config: NodeConfig) -> DiagnosticStatus:
        window, now = report.window, report.window.counts
        mean = fmean(window.total_ms) if window.total_ms else math.nan
        over = mean > config.budget_ms
        if window.total_ms:
            self._over_budget_s = self._over_budget_s + window.seconds if over else 0.0
        level, message = OK, f"{_rate(now.processed, window.seconds)} masks/s, {mean:.1f} ms each"
        if window.errors:
            level, message = ERROR, f"{sum(window.errors.values())} failures: {_commonest(window.errors)}"
        elif over:
            level = ERROR if self._over_budget_s > config.over_budget_s else WARN
            message = f"a frame takes {mean:.1f} ms, over the budget of {config.budget_ms:g} ms"
        elif report.refused:
            level, message = WARN, f"new parameters cannot be used, the former ones stay: {report.refused}"
        elif now.unwanted and not window.total_ms:
            message = "nobody subscribes to an output: images are checked, not segmented"
        elif report.last is None:
            message = "waiting for the first image"
        elif not window.total_ms:
            message = "no frame since the last report"
        counts = report.counts
        return self._status(
            "processing",
            level,
            message,
            {
                "masks per second": _rate(now.processed, window.seconds),
                "frame ms, mean": _number(mean),
                "frame ms, 95 %": _number(_p95(window.total_ms)),
                "latency ms, mean": _number(fmean(window.latency_ms) if window.latency_ms else math.nan),
                "latency ms, 95 %": _number(_p95(window.latency_ms)),
                "processed": counts.processed,
                "dropped for newer ones": counts.dropped,
                "while nobody subscribed": counts.unwanted,
                "budget ms": config.budget_ms,
            },
        )

    def _common_feature(self, report: Report) -> DiagnosticStatus:
        last = report.last
        if last is None:
            return self._status("common feature", OK, "waiting for the first image", {})
        level, message = OK, f"{last.age_ms:.0f} ms ({last.age_frames} frames) old"
        if last.error:
            level, message = ERROR, f"the last refresh failed: {last.error}; {message}"
        elif last.stale:
            level, message = WARN, f"{message}, more than max_age_ms"
        values: dict[str, Any] = {
            "age ms": _number(last.age_ms),
            "age frames": last.age_frames,
            "last common branch ms": _number(last.timing.common),
            "reuse agreement": _number(report.agreement, 4),
            "image motion": _number(last.motion, 4),
            "failures": last.errors,
        }
        values.update({f"refreshes: {name}": number for name, number in sorted(report.triggers.items())})
        return self._status("common feature", level, message, values)

    def _status(self, name: str, level: bytes, message: str, values: dict[str, Any]) -> DiagnosticStatus:
        return status(f"{self._prefix}{name}", level, message, values)


def engine_status(prefix: str, engine: Engine | None) -> DiagnosticStatus:
    """What runs the network, and which one."""
    if engine is None:
        return status(f"{prefix}engine", OK, "not configured", {})
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
        return status(f"{prefix}engine", WARN, f"{engine.problem}; {message}", values)
    return status(f"{prefix}engine", OK, message, values)


def status(name: str, level: bytes, message: str, values: dict[str, Any]) -> DiagnosticStatus:
    """A DiagnosticStatus with its values as text."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id="dcfm",
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def _profile_hint() -> str:
    for variable in VARIABLES:
        if os.environ.get(variable):
            return f"{variable}={os.environ[variable]} is set here; is it where the camera driver runs, too?"
    return (
        f"large images need more shared memory: set {profile_variable(os.environ)} to this package's "
        f"config/fastdds.xml, here and where the camera driver runs"
    )


def _commonest(reasons: Counter[str]) -> str:
    return reasons.most_common(1)[0][0] if reasons else ""


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds:.1f}" if seconds > 0 else "0.0"


def _number(value: float, digits: int = 1) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _p95(values: list[float]) -> float:
    if len(values) < 2:
        return values[0] if values else math.nan
    return quantiles(values, n=20, method="inclusive")[-1]
