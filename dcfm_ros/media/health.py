"""How a stream is doing: counts since it began, times and reasons since the last report; and what is told of a frame."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from dcfm_ros.stream.segmentation import Segmentation


@dataclass(frozen=True)
class FrameCounts:
    """Frames so far."""

    received: int = 0
    processed: int = 0
    dropped: int = 0  # a newer frame came before its turn, or the same one came twice
    failed: int = 0
    lost: int = 0  # by the middleware, on the way here
    unwanted: int = 0  # came while nobody subscribed to any output

    def __sub__(self, before: FrameCounts) -> FrameCounts:
        """The frames since then."""
        return FrameCounts(**{name: number - getattr(before, name) for name, number in vars(self).items()})


@dataclass
class Report:
    """Everything the diagnostics need of a stream."""

    running: bool = False
    counts: FrameCounts = field(default_factory=FrameCounts)
    last: Segmentation | None = None  # the newest
    agreement: float = math.nan  # when it was last measured; NaN if never
    triggers: Counter[str] = field(default_factory=Counter)
    refused: str = ""  # why the parameters in use are not those asked for; empty: they are
    silent_s: float = math.inf  # since the last image, or a later start; infinite before an image

    # Since the last report.
    seconds: float = 0.0
    new: FrameCounts = field(default_factory=FrameCounts)
    total_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    bad_images: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # of the worker or of the common branch
    no_stamp: bool = False
    standing: int = 0  # images with the stamp of the one before, but another picture


class Health:
    """What happens to a stream's frames, told by any thread; read by the diagnostics. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._report = Report()
        self._reported_counts, self._reported = FrameCounts(), clock()
        self._started = self._last_image = -math.inf

    def started(self) -> None:
        """The stream starts, perhaps again: from now on it is judged, and for nothing that came before."""
        with self._lock:
            self._started = self._clock()
            self._report.refused = ""
            self._next_report()

    def count(self, what: str, number: int = 1) -> None:
        """Add to one of the fields of FrameCounts."""
        with self._lock:
            self._add(what, number)

    def counted(self, counts: FrameCounts) -> None:
        """An image has come, and these are the counts now: for whoever counts frames anyway."""
        with self._lock:
            self._report.counts = counts
            self._last_image = self._clock()

    def image_came(self, *, stamped: bool, standing: bool = False) -> None:
        """An image message arrived. standing: with the stamp of the one before."""
        with self._lock:
            self._add("received")
            self._last_image = self._clock()
            self._report.no_stamp |= not stamped
            self._report.standing += standing

    def bad_image(self, reason: str, number: int = 1) -> None:
        """An image, or several of them, could not be used."""
        with self._lock:
            self._add("failed", number)
            self._report.bad_images[reason] += number

    def error(self, reason: str, *, frame_failed: bool) -> None:
        """The network failed, for a frame (which then has no mask) or in the common branch."""
        with self._lock:
            self._add("failed", frame_failed)
            self._report.errors[reason] += 1

    def refused(self, reason: str) -> None:
        """The stream's new parameters cannot be used and the previous ones stay in use; "": they can."""
        with self._lock:
            self._report.refused = reason

    def processed(self, result: Segmentation, total_ms: float, latency_ms: float) -> None:
        """A frame has its mask."""
        with self._lock:
            self._add("processed")
            report = self._report
            report.last = result
            report.total_ms.append(total_ms)
            if not math.isnan(latency_ms):
                report.latency_ms.append(latency_ms)
            if result.trigger:
                report.triggers[result.trigger] += 1
            if not math.isnan(result.agreement):
                report.agreement = result.agreement

    def counts(self) -> FrameCounts:
        """The counts now."""
        return self._report.counts

    def report(self, *, running: bool) -> Report:
        """Everything so far; the next report tells of what happens from now on."""
        with self._lock:
            began, report = self._reported, self._next_report()
            silent_since = max(self._last_image, self._started) if report.counts.received else -math.inf
            report.running, report.silent_s = running, self._reported - silent_since
            report.seconds = self._reported - began
            return report

    def _next_report(self) -> Report:
        """Begin the next report; returns the one that ends now."""
        ended = self._report
        ended.new = ended.counts - self._reported_counts
        self._reported_counts, self._reported = ended.counts, self._clock()
        self._report = Report(
            counts=ended.counts,
            last=ended.last,
            agreement=ended.agreement,
            triggers=ended.triggers.copy(),
            refused=ended.refused,
        )
        return ended

    def _add(self, what: str, number: int = 1) -> None:
        counts = self._report.counts
        self._report.counts = replace(counts, **{what: getattr(counts, what) + number})


def timing_fields(
    result: Segmentation,
    counts: FrameCounts,
    *,
    convert_ms: float,
    publish_ms: float,
    total_ms: float,
    latency_ms: float,
) -> dict[str, Any]:
    """The fields of a FrameTiming but its header and key stamp, as Python's own numbers."""
    spent = result.timing
    return {
        "key_frame": result.key_frame,
        **{name: getattr(result, name) for name in TOLD},
        "convert_ms": convert_ms,
        **{f"{step}_ms": float(getattr(spent, step)) for step in _STEPS},
        "publish_ms": publish_ms,
        "total_ms": total_ms,
        "latency_ms": latency_ms,
        **{name: getattr(counts, name) for name in _COUNTS},
    }


TOLD = ("trigger", "age_ms", "age_frames", "stale", "moved", "motion", "agreement")
"""What a Segmentation and a FrameTiming say under the same names."""
_STEPS = ("preprocess", "align", "independent", "fuse", "label_map", "common")
_COUNTS = ("received", "processed", "dropped", "failed", "lost")
