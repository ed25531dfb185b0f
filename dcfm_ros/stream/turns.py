"""Whose turn it is where the streams on one engine share a machine: frames go first, then one piece of a common branch."""

from __future__ import annotations

import threading
from typing import Protocol


class Member(Protocol):
    """What takes turns for a stream. Its methods are called with `changed` held."""

    @property
    def late(self) -> bool:
        """Whether its common feature will be too old, should it not have each of its turns from now on."""

    def may_begin(self, *, alone: bool) -> bool:
        """Whether it has a piece that waits for its turn and may have it now. alone: no frame is in work."""

    def interrupted(self, now_ms: float) -> None:
        """Another stream's frame begins."""


class Turns:
    """One for all streams on an engine. All of it is read and written with `changed` held, which is notified.

    frames: whose frames are in work. piece: whose turn it is to compute a piece, if anybody's.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.frames: set[Member] = set()
        self.piece: Member | None = None
        self._members: list[Member] = []  # those whose last turn is longest ago first

    def join(self, member: Member) -> None:
        with self.changed:
            self._members.append(member)

    def leave(self, member: Member) -> None:
        """Even in the middle of a frame or a piece: nobody waits for this stream any more."""
        with self.changed:
            if member in self._members:
                self._members.remove(member)
            self.frame_ends(member)
            self.piece_ends(member)

    def frame_begins(self, member: Member, now_ms: float) -> None:
        for other in self._members:
            if other is not member:
                other.interrupted(now_ms)
        self.frames.add(member)

    def frame_ends(self, member: Member) -> None:
        self.frames.discard(member)
        self._go_on()

    def piece_ends(self, member: Member) -> None:
        if self.piece is member:
            self.piece = None
            self._go_on()

    def taken(self, member: Member) -> bool:
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
