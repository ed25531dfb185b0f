"""What the node's /diagnostics would have said, once per second of message time, for the bag of an offline run."""

from __future__ import annotations

import math

from dcfm_ros.engines.base import Engine
from dcfm_ros.media.messages import Counts
from dcfm_ros.stream.segmentation import Segmentation

OK, WARN = 0, 1
_PERIOD_NS = 1_000_000_000

Status = tuple[str, int, str, dict[str, object]]


class Diagnostics:
    """Statuses under the node's names: input, processing, common feature, engine.

    Args:
        budget_ms: a mean latency above this is a warning.
    """

    def __init__(self, engine: Engine, source: str, budget_ms: float) -> None:
        self._engine, self._source, self._budget_ms = engine, source, budget_ms
        self._last_ns: int | None = None
        self._last = Counts(0, 0, 0, 0)
        self._latencies: list[float] = []

    def due(self, stamp_ns: int, result: Segmentation, latency_ms: float, counts: Counts) -> list[Status]:
        """The statuses, if a second has passed since the last ones (or time has jumped back); else nothing."""
        self._latencies.append(latency_ms)
        if self._last_ns is not None and 0 <= stamp_ns - self._last_ns < _PERIOD_NS:
            return []
        seconds = (stamp_ns - self._last_ns) / 1e9 if self._last_ns is not None else 0.0
        before, latencies = self._last, self._latencies
        self._last_ns, self._last, self._latencies = stamp_ns, counts, []
        return [
            self._input(counts, before, seconds),
            self._processing(counts, before, seconds, latencies),
            self._common_feature(result),
            self._engine_status(),
        ]

    def _input(self, counts: Counts, before: Counts, seconds: float) -> Status:
        failed = counts.failed - before.failed
        text = (
            f"{failed} images not usable"
            if failed
            else f"{_rate(counts.received - before.received, seconds)} images/s"
        )
        values = {"topic": self._source, "received": counts.received, "failed": counts.failed}
        return "dcfm: input", WARN if failed else OK, text, values

    def _processing(self, counts: Counts, before: Counts, seconds: float, latencies: list[float]) -> Status:
        mean = sum(latencies) / len(latencies)
        over = mean > self._budget_ms
        rate = _rate(counts.processed - before.processed, seconds)
        text = f"a frame takes {mean:.1f} ms, over the budget of {self._budget_ms:g} ms"
        values = {
            "masks per second": rate,
            "latency ms, mean": f"{mean:.1f}",
            "latency ms, max": f"{max(latencies):.1f}",
            "processed": counts.processed,
            "dropped for newer ones": counts.dropped,
            "budget ms": f"{self._budget_ms:g}",
        }
        return (
            "dcfm: processing",
            WARN if over else OK,
            text if over else f"{rate} masks/s, {mean:.1f} ms each",
            values,
        )

    def _common_feature(self, result: Segmentation) -> Status:
        text = f"{result.age_ms:.0f} ms ({result.age_frames} frames) old"
        level = WARN if result.stale or result.error else OK
        if result.error:
            text = f"the last refresh failed: {result.error}; {text}"
        elif result.stale:
            text += ", more than max_age_ms"
        values = {
            "age ms": f"{result.age_ms:.1f}",
            "age frames": result.age_frames,
            "last common branch ms": f"{result.timing.common:.1f}",
            "reuse agreement": "" if math.isnan(result.agreement) else f"{result.agreement:.4f}",
            "image motion": "" if math.isnan(result.motion) else f"{result.motion:.4f}",
            "failures": result.errors,
        }
        return "dcfm: common feature", level, text, values

    def _engine_status(self) -> Status:
        engine = self._engine
        text = f"{engine.card.name} on {engine.device} ({engine.name}, {engine.precision})"
        values: dict[str, object] = {
            "engine": engine.name,
            "device": engine.device,
            "precision": engine.precision,
            "model": engine.card.name,
        }
        return "dcfm: engine", OK, text, values


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds:.1f}" if seconds > 0 else "0.0"
