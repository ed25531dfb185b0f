"""What a camera's worker knows about its own work: counts for ever, times and reasons since the last report."""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Frames since the node was configured."""

    received: int = 0
    processed: int = 0
    dropped: int = 0  # a newer frame came before its turn, or the same one came twice
    failed: int = 0
    lost: int = 0  # by the middleware, on the way here
    unwanted: int = 0  # came while nobody subscribed to any output


@dataclass
class Window:
    """What happened since the last report."""

    seconds: float = 0.0
    counts: Counts = Counts()
    total_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    triggers: Counter[str] = field(default_factory=Counter)
    bad_images: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # of the worker or of the common branch
    no_stamp: bool = False


@dataclass(frozen=True)
class Report:
    """Everything the diagnostics need of one camera."""

    running: bool
    counts: Counts
    window: Window
    silent_s: float  # since the last image, or the start if that was later; infinite before the first image
    last: Any  # the newest Segmentation; None before the first
    agreement: float  # when it was last measured; NaN if never
    triggers: Counter[str]
    image_size: str
    refused: str  # why the parameters are not those that were asked for; empty: they are


class Health:
    """Written by the executor's thread and the worker, read by the diagnostics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._triggers: Counter[str] = Counter()
        self._window = Window()
        self._window_start = monotonic()
        self._window_counts = Counts()
        self._start = -math.inf
        self._last_image = -math.inf
        self._last: Any = None
        self._agreement = math.nan
        self._image_size = ""
        self._refused = ""

    def started(self) -> None:
        """The camera begins to work, perhaps anew: from now on it is judged, and for nothing that came before."""
        with self._lock:
            self._start = monotonic()
            self._refused = ""
            self._new_window()

    def count(self, what: str, number: int = 1) -> None:
        """Add to one of the fields of Counts."""
        with self._lock:
            self._counts[what] += number

    def image_came(self, *, stamped: bool) -> None:
        """An image message arrived."""
        with self._lock:
            self._counts["received"] += 1
            self._last_image = monotonic()
            self._window.no_stamp |= not stamped

    def bad_image(self, reason: str) -> None:
        """An image could not be used."""
        with self._lock:
            self._counts["failed"] += 1
            self._window.bad_images[reason] += 1

    def error(self, reason: str, *, frame_failed: bool) -> None:
        """The network failed, for a frame (which then has no mask) or in the common branch."""
        with self._lock:
            self._counts["failed"] += frame_failed
            self._window.errors[reason] += 1

    def refused(self, reason: str) -> None:
        """The stream's parameters cannot be used and the former ones stay; without a reason: they are used."""
        with self._lock:
            self._refused = reason

    def processed(self, result: Any, total_ms: float, latency_ms: float, image_size: str) -> None:
        """A frame has got its mask."""
        with self._lock:
            self._counts["processed"] += 1
            self._window.total_ms.append(total_ms)
            if not math.isnan(latency_ms):
                self._window.latency_ms.append(latency_ms)
            if result.trigger:
                self._window.triggers[result.trigger] += 1
                self._triggers[result.trigger] += 1
            if not math.isnan(result.agreement):
                self._agreement = result.agreement
            self._last = result
            self._image_size = image_size

    def counts(self) -> Counts:
        """The counts now."""
        with self._lock:
            return Counts(**self._counts)

    def report(self, *, running: bool) -> Report:
        """Everything, and a new window begins."""
        with self._lock:
            window = self._new_window()
            silent_since = max(self._last_image, self._start) if self._counts["received"] else -math.inf
            return Report(
                running=running,
                counts=self._window_counts,
                window=window,
                silent_s=self._window_start - silent_since,
                last=self._last,
                agreement=self._agreement,
                triggers=self._triggers.copy(),
                image_size=self._image_size,
                refused=self._refused,
            )

    def _new_window(self) -> Window:
        """The window that ends now."""
        now, counts = monotonic(), Counts(**self._counts)
        window, self._window = self._window, Window()
        window.seconds, self._window_start = now - self._window_start, now
        window.counts = _difference(counts, self._window_counts)
        self._window_counts = counts
        return window


def _difference(now: Counts, before: Counts) -> Counts:
    return Counts(**{name: getattr(now, name) - getattr(before, name) for name in vars(now)})
