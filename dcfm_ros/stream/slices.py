"""The common branch in slices: a piece after each frame's own work, in turns with all streams on an engine."""

from __future__ import annotations

import time
from threading import Condition

from dcfm_ros.stream.background import BackgroundWorker
from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame
from dcfm_ros.stream.slice_plan import SlicePlan
from dcfm_ros.stream.worker import OnError

IDLE_S = 5.0
"""Where no frame comes for so long, what is half done is given up: nobody needs a feature of that age, and its maps are
memory."""


class Turns:
    """Whose turn it is where streams share a machine: frames go first, then one piece of a common branch.

    One for all streams on an engine. All of it is read and written with `changed` held, which is notified.

    frames: whose frames are in work. piece: whose turn it is to compute a piece, if anybody's.
    """

    def __init__(self) -> None:
        self.changed = Condition()
        self.frames: set[SlicedWorker] = set()
        self.piece: SlicedWorker | None = None
        self._members: list[SlicedWorker] = []  # those whose last turn is longest ago first

    def join(self, member: SlicedWorker) -> None:
        with self.changed:
            self._members.append(member)

    def leave(self, member: SlicedWorker) -> None:
        """Even in the middle of a frame or a piece: nobody waits for this stream any more."""
        with self.changed:
            self._members = [other for other in self._members if other is not member]
            self.frame_ends(member)
            self.piece_ends(member)

    def frame_begins(self, member: SlicedWorker, now_ms: float) -> None:
        for other in self._members:
            if other is not member:
                other.plan.spare_ends(now_ms)
        self.frames.add(member)

    def frame_ends(self, member: SlicedWorker) -> None:
        self.frames.discard(member)
        self._go_on()

    def piece_ends(self, member: SlicedWorker) -> None:
        if self.piece is member:
            self.piece = None
            self._go_on()

    def taken(self, member: SlicedWorker) -> bool:
        """Whether it is that stream's turn; it is from now on if it can be."""
        if self.piece is None and member.may_begin(alone=not self.frames):
            self.piece = member
            if member in self._members:
                self._members.remove(member)
                self._members.append(member)
        return self.piece is member

    def _go_on(self) -> None:
        """Whose piece waits may take its turn; one that is late is given it.

        Where frames come one right after the other, none is quick enough to take it.
        """
        for member in [*self._members]:
            if member.late and self.taken(member):
                break
        self.changed.notify_all()


class SlicedWorker(BackgroundWorker):
    """Computes one piece after each frame's own work, and never while a frame is worked on, of any stream.

    Where frames leave no time between them, they go first until a common feature would be older than the plan allows;
    then they wait. Where frames of several streams overlap all the time, a piece that has missed its turn takes the
    next one all the same.

    plan: decides on the number of pieces. turns: shared with the other streams. piece_waits: one waits for its turn.
    """

    def __init__(
        self, branch: CommonBranch, on_error: OnError | None, plan: SlicePlan, turns: Turns | None = None
    ) -> None:
        self.plan = plan
        self._turns = turns or Turns()
        self.piece_waits = self._after_frame = self._missed = False
        self._underway: KeyFrame | None = None
        self._left = 0  # pieces of it
        self._began_s = self._frame_s = 0.0
        super().__init__(branch, on_error, branch, idle=False, changed=self._turns.changed)
        self._turns.join(self)

    def pause(self) -> None:
        self._frame_s = time.perf_counter()
        now_ms = 1e3 * self._frame_s
        with self._changed:
            self.plan.frame_begins(now_ms, waits=self.newest is None)
            self._missed = self.piece_waits and self._after_frame and self._turns.piece is not self
            self._after_frame = False
            self._turns.frame_begins(self, now_ms)
            self._changed.wait_for(lambda: self._turns.piece is None or self._closing)

    def resume(self) -> None:
        now_ms = 1e3 * time.perf_counter()
        with self._changed:
            self.plan.frame_ends(now_ms, spare=self._turns.frames <= {self})
            self._after_frame = True
            self._turns.frame_ends(self)

    def close(self) -> None:
        super().close()
        self._turns.leave(self)

    @property
    def late(self) -> bool:
        """Whether its common feature will be too old, should it not have each of its turns from now on."""
        frame, newest = self._underway, self.newest
        if frame is None or newest is None:
            return False
        age_ms = (frame.time_ns - newest.time_ns) / 1e6 + 1e3 * (time.perf_counter() - self._began_s)
        return self.plan.late(age_ms, self._left)

    def may_begin(self, *, alone: bool) -> bool:
        """Whether it has a piece that waits for its turn and may have it now. alone: no frame is in work."""
        return self.piece_waits and self._after_frame and (alone or self._missed)

    def _count(self, frame: KeyFrame) -> int:
        with self._changed:
            self._underway, self._left, self._began_s = frame, self.plan.pieces(), time.perf_counter()
            return self._left

    def _next_piece(self, frame: KeyFrame, era: int) -> bool:
        """Waits until a piece may begin: after the next frame's own work."""
        with self._changed:
            self._turns.piece_ends(self)
            self.piece_waits = True
            came = self._turn_comes(era)
            self.piece_waits = False
            if not came:
                self._turns.piece_ends(self)
                return False
            self._after_frame = self._missed = False
            self._left -= 1
            return True

    def _turn_comes(self, era: int) -> bool:
        """Waits for it. It does not where the stream is reset or frames have stopped to come: the next one that does finds a
        feature older than `max_age_ms`, and asks again."""
        while not self._changed.wait_for(lambda: self._turns.taken(self) or era != self._era, IDLE_S):
            if time.perf_counter() - self._frame_s > IDLE_S:
                return False
        return era == self._era

    def _finish(self, era: int, feature: CommonFeature | None, error: Exception | None) -> None:
        with self._changed:
            self.plan.finished(feature)
            super()._finish(era, feature, error)
            self._turns.piece_ends(self)
