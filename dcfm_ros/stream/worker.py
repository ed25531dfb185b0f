"""What keeps the newest common feature of a stream. Computed here while the frame waits; beside it in `background`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame

logger = logging.getLogger(__name__)

OnError = Callable[[Exception], None]


class Worker:
    """Keeps the newest common feature. This one computes it at once; others differ in what `submit` does with a request.

    newest: the newest finished common feature, None before the first. Replaced in one assignment. errors: how
    many times the common branch has failed. error: what the last request failed with, None if it did not.
    """

    def __init__(self, branch: CommonBranch, on_error: OnError | None) -> None:
        self.newest: CommonFeature | None = None
        self.errors = 0
        self.error: Exception | None = None
        self._branch = branch
        self._on_error = on_error
        self._era = 0

    @property
    def waiting(self) -> bool:
        """A request waits for its turn: a newer frame can still take its place."""
        return False

    def submit(self, frame: KeyFrame) -> int | None:
        """Ask for the common feature of `frame`. Returns the index of the request whose place it takes, if any."""
        self._refresh(frame, self._era)
        return None

    def current(self) -> CommonFeature:
        """The newest common feature. Raises DcfmError when there is none because the common branch failed."""
        if self.newest is None:
            raise DcfmError(f"the first frame has no common feature: {describe(self.error)}") from self.error
        return self.newest

    def pause(self) -> None:
        """A frame begins: whoever shares the machine with it piece by piece makes room."""

    def resume(self) -> None:
        """The frame is done."""

    @contextlib.contextmanager
    def frame(self) -> Iterator[None]:
        """Around a frame's own work, whether that fails or not."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def forget(self) -> None:
        """Drop the common feature, the requests, and the result of the one being worked on."""
        self._era += 1
        self.newest = self.error = None

    def close(self) -> None:
        """End within a second, even in the middle of a common branch, whose result is dropped."""

    def _refresh(self, frame: KeyFrame, era: int, branch: CommonBranch | None = None) -> None:
        """Compute in one go, and swap."""
        for _ in self._pieces(frame, era, branch or self._branch, 1):
            pass

    def _pieces(self, frame: KeyFrame, era: int, branch: CommonBranch, count: int) -> Iterator[None]:
        """Compute piece by piece, and swap: the first `next` only makes ready, each further one computes a piece.

        A failure is kept, counted and reported; the last good common feature stays in use.
        """
        try:
            steps = branch.in_pieces(frame, self.newest, count)
            yield
            feature = yield from steps
        except Exception as error:
            self._finish(era, None, error)
            self._report(error)
        else:
            self._finish(era, feature, None)

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        self.errors += error is not None
        if era == self._era:  # else the stream was reset meanwhile: the result belongs to the past
            self.error = error
            self.newest = feature or self.newest

    def _report(self, error: Exception) -> None:
        logger.debug("the common branch failed", exc_info=error)
        if self._on_error is None:
            return
        try:
            self._on_error(error)
        except Exception:  # must not end the worker, and be missed for ever
            logger.exception("on_error itself failed")


class DeferringWorker(Worker):
    """Computes the first common feature of a stream at once, as there is nothing to do beside it.

    Later requests wait until a subclass takes them; the newest wins.
    """

    _request: KeyFrame | None = None

    @property
    def waiting(self) -> bool:
        return self._request is not None

    def submit(self, frame: KeyFrame) -> int | None:
        if self.newest is None:
            return super().submit(frame)
        return self._defer(frame)

    def forget(self) -> None:
        self._request = None
        super().forget()

    def _defer(self, frame: KeyFrame) -> int | None:
        before, self._request = self._request, frame
        return before.index if before else None


MakeWorker = Callable[[CommonBranch, OnError | None], Worker]


def describe(error: Exception | None) -> str:
    """An error in one line."""
    if error is None:
        return "the stream was closed"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
