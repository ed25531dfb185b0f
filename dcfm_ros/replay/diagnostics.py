"""What the node's /diagnostics would have said, once per second of message time, for the bag of an offline run."""

from __future__ import annotations

from collections import Counter

from dcfm_ros.engines.base import Engine
from dcfm_ros.media.diagnostics import CameraDiagnostics, Input, Limits, Status, engine_status
from dcfm_ros.media.frame_timing import FrameCounts
from dcfm_ros.media.health import Health
from dcfm_ros.media.source import Source
from dcfm_ros.stream.segmentation import Segmentation

_PERIOD_S = 1.0
_BUDGET_MS = 200.0
_PREFIX = "dcfm: "


class Diagnostics:
    """Statuses under the node's names: input, processing, common feature, engine.

    Args:
        budget_ms: frames that take longer on average are a warning; None: 200.
    """

    def __init__(self, engine: Engine, source: Source, budget_ms: float | None) -> None:
        self._engine, self._source, self._limits = engine, source, Limits(budget_ms or _BUDGET_MS)
        self._judge = CameraDiagnostics(_PREFIX, source.topic or str(source.path))
        self._now_s = 0.0
        self._health = Health(clock=lambda: self._now_s)
        self._told_s: float | None = None
        self._skipped: Counter[str] = Counter()

    def due(
        self, result: Segmentation, counts: FrameCounts, *, total_ms: float, latency_ms: float
    ) -> list[Status]:
        """The statuses, if a second has passed since the last ones (or time has jumped back); else nothing."""
        self._now_s = result.stamp_ns / 1e9
        if self._told_s is None:
            self._health.started()
        for reason, number in (self._source.skipped - self._skipped).items():
            self._health.bad_image(reason, number)
        self._skipped = self._source.skipped.copy()
        self._health.processed(result, total_ms, latency_ms)
        self._health.counted(counts)
        if self._told_s is not None and 0 <= self._now_s - self._told_s < _PERIOD_S:
            return []
        self._told_s = self._now_s
        statuses = self._judge.statuses(self._health.report(running=True), self._limits, Input())
        return [*statuses, engine_status(_PREFIX, self._engine)]
