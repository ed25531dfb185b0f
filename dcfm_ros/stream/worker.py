"""Where the common branch runs: on the frame's own thread, or beside it. Both have the same methods."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.common import CommonFeature, KeyFrame

logger = logging.getLogger(__name__)

Compute = Callable[[KeyFrame, CommonFeature | None], CommonFeature]
OnError = Callable[[Exception], None]

CLOSE_TIMEOUT_S = 0.8


class Worker:
    """Keeps the newest common feature. Its two kinds differ in `submit` alone.

    Attributes:
        newest: the newest finished common feature, None before the first. Replaced in one assignment.
        errors: how many times the common branch has failed.
        error: what the last request failed with, None if it did not.
    """

    def __init__(self, compute: Compute, on_error: OnError | None) -> None:
        self.newest: CommonFeature | None = None
        self.errors = 0
        self.error: Exception | None = None
        self._compute = compute
        self._on_error = on_error
        self._era = 0

    @property
    def waiting(self) -> bool:
        """A request waits for its turn: a newer frame can still take its place."""
        return False

    def submit(self, frame: KeyFrame) -> None:
        """Ask for the common feature of `frame`."""
        raise NotImplementedError

    def wait(self) -> CommonFeature:
        """The newest common feature; when there is none yet, waits for the one that was asked for.

        Raises DcfmError when the common branch failed.
        """
        if self.newest is None:
            raise DcfmError(f"the first frame has no common feature: {describe(self.error)}") from self.error
        return self.newest

    def forget(self) -> None:
        """Drop the common feature, the requests, and the result of the one being worked on."""
        self._era += 1
        self.newest = self.error = None

    def close(self) -> None:
        """End within a second, even in the middle of a common branch, whose result is dropped."""

    def _refresh(self, frame: KeyFrame, era: int) -> None:
        """Compute and swap. A failure is kept, counted and reported; the last good common feature stays in use."""
        try:
            feature = self._compute(frame, self.newest)
        except Exception as error:
            self._finish(era, None, error)
            logger.debug("the common branch failed", exc_info=error)
            if self._on_error:
                self._on_error(error)
        else:
            self._finish(era, feature, None)

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        self.errors += error is not None
        if era == self._era:  # else the stream was reset meanwhile: the result belongs to the past
            self.error = error
            self.newest = feature or self.newest


class InlineWorker(Worker):
    """Computes at once: the frame waits."""

    def submit(self, frame: KeyFrame) -> None:
        self._refresh(frame, self._era)


class BackgroundWorker(Worker):
    """Computes on a thread of its own. Of the requests that wait, the newest wins."""

    def __init__(self, compute: Compute, on_error: OnError | None) -> None:
        super().__init__(compute, on_error)
        self._changed = threading.Condition()
        self._request: KeyFrame | None = None
        self._busy = False
        self._closing = False
        # A daemon, so that a common branch that hangs cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="dcfm common branch", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> bool:
        return self._request is not None

    def submit(self, frame: KeyFrame) -> None:
        with self._changed:
            self._request = frame
            self._changed.notify_all()

    def wait(self) -> CommonFeature:
        with self._changed:
            self._changed.wait_for(lambda: self.newest or self._closing or not (self._request or self._busy))
            return super().wait()

    def forget(self) -> None:
        with self._changed:
            self._request = None
            super().forget()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            super().forget()
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._request or self._closing)
                if self._closing:
                    return
                frame, self._request, self._busy, era = self._request, None, True, self._era
            assert frame is not None
            self._refresh(frame, era)

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        with self._changed:
            super()._finish(era, feature, error)
            self._busy = False
            self._changed.notify_all()


MakeWorker = Callable[[Compute, OnError | None], Worker]
WORKERS: dict[str, MakeWorker] = {"inline": InlineWorker, "background": BackgroundWorker}


def describe(error: Exception | None) -> str:
    """An error in one line."""
    if error is None:
        return "the stream was closed"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
