"""How a stream is doing: counts since it began, times and reasons since the last report."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dcfm_ros.media.frame_timing import FrameCounts
from dcfm_ros.stream.segmentation import Segmentation


@dataclass
class Window:
    """What happened since the last report."""

    seconds: float = 0.0
    counts: FrameCounts = field(default_factory=FrameCounts)
    total_ms: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    bad_images: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # of the worker or of the common branch
    no_stamp: bool = False


@dataclass(frozen=True)
class Report:
    """Everything the diagnostics need of one camera."""

    running: bool
    counts: FrameCounts
    window: Window
    silent_s: float  # since the last image, or the start if that was later; infinite before the first image
    last: Segmentation | None  # the newest
    agreement: float  # when it was last measured; NaN if never
    triggers: Counter[str]
    refused: str  # why the parameters in use are not those asked for; empty: they are


class Health:
    """What happens to a stream's frames, told by any thread; read by the diagnostics.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = FrameCounts()
        self._triggers: Counter[str] = Counter()
        self._window = Window()
        self._window_start = self._clock()
        self._window_counts = FrameCounts()
        self._started = -math.inf
        self._last_image = -math.inf
        self._last: Segmentation | None = None
        self._agreement = math.nan
        self._refused = ""

    def started(self) -> None:
        """The stream starts, perhaps again: from now on it is judged, and for nothing that came before."""
        with self._lock:
            self._started = self._clock()
            self._refused = ""
            self._new_window()

    def count(self, what: str, number: int = 1) -> None:
        """Add to one of the fields of FrameCounts."""
        with self._lock:
            self._add(what, number)

    def counted(self, counts: FrameCounts) -> None:
        """An image has come, and these are the counts now: for whoever counts frames anyway."""
        with self._lock:
            self._counts = counts
            self._last_image = self._clock()

    def image_came(self, *, stamped: bool) -> None:
        """An image message arrived."""
        with self._lock:
            self._add("received")
            self._last_image = self._clock()
            self._window.no_stamp |= not stamped

    def bad_image(self, reason: str, number: int = 1) -> None:
        """An image, or several of them, could not be used."""
        with self._lock:
            self._add("failed", number)
            self._window.bad_images[reason] += number

    def error(self, reason: str, *, frame_failed: bool) -> None:
        """The network failed, for a frame (which then has no mask) or in the common branch."""
        with self._lock:
            self._add("failed", frame_failed)
            self._window.errors[reason] += 1

    def refused(self, reason: str) -> None:
        """The stream's new parameters cannot be used and the previous ones stay in use; "": they can."""
        with self._lock:
            self._refused = reason

    def processed(self, result: Segmentation, total_ms: float, latency_ms: float) -> None:
        """A frame has its mask."""
        with self._lock:
            self._add("processed")
            self._window.total_ms.append(total_ms)
            if not math.isnan(latency_ms):
                self._window.latency_ms.append(latency_ms)
            if result.trigger:
                self._triggers[result.trigger] += 1
            if not math.isnan(result.agreement):
                self._agreement = result.agreement
            self._last = result

    def counts(self) -> FrameCounts:
        """The counts now."""
        return self._counts

    def report(self, *, running: bool) -> Report:
        """Everything so far; begins a new window."""
        with self._lock:
            window = self._new_window()
            silent_since = max(self._last_image, self._started) if self._counts.received else -math.inf
            return Report(
                running=running,
                counts=self._window_counts,
                window=window,
                silent_s=self._window_start - silent_since,
                last=self._last,
                agreement=self._agreement,
                triggers=self._triggers.copy(),
                refused=self._refused,
            )

    def _new_window(self) -> Window:
        """The window that ends now."""
        now = self._clock()
        window, self._window = self._window, Window()
        window.seconds, self._window_start = now - self._window_start, now
        window.counts = self._counts - self._window_counts
        self._window_counts = self._counts
        return window

    def _add(self, what: str, number: int = 1) -> None:
        self._counts = replace(self._counts, **{what: getattr(self._counts, what) + number})
