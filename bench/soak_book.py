"""Which frames were sent in a soak, and what became of each: a mask, a loss with its reason, or a loss without one."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

Key = tuple[str, int]
"""frame_id and stamp, ns."""

RECENT_S = 5.0
"""Nobody expects a mask of frames that were sent so shortly before the node goes away."""


MAX_PROBLEMS = 50


@dataclass
class Sent:
    """A frame without a mask yet. fault: what was going on. away: whether the node, or its link, was not there."""

    fault: str
    at_s: float
    away: bool


@dataclass
class Tally:
    """Of one kind of fault. bad_frames: those without a mask to come; usable_frames: all others that were sent meanwhile."""

    injected: int = 0
    bad_frames: int = 0
    usable_frames: int = 0
    masks: int = 0
    dropped: int = 0
    nobody_there: int = 0
    unexplained: int = 0


@dataclass
class Counts:
    """The node's own, from /diagnostics, since it was configured."""

    received: int = 0
    failed: int = 0
    dropped: int = 0
    reason: str = ""


@dataclass
class Book:
    """Every frame by its header; `problems` is what a node that keeps its promises gives no cause for."""

    clock: Callable[[], float]
    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    bad_expected: int = 0
    masks: Counter[str] = field(default_factory=Counter)  # by frame_id
    away: bool = True
    _pending: dict[Key, deque[Sent]] = field(default_factory=dict)
    _bad: set[Key] = field(default_factory=set)

    def of(self, fault: str) -> Tally:
        """The tally of a kind of fault."""
        return self.tallies.setdefault(fault, Tally())

    def sent(self, key: Key, fault: str) -> None:
        """A frame that can be used goes out."""
        self.of(fault).usable_frames += 1
        self._pending.setdefault(key, deque()).append(Sent(fault, self.clock(), self.away))

    def sent_bad(self, key: Key, fault: str) -> None:
        """A frame that cannot be used goes out."""
        self.of(fault).bad_frames += 1
        self.bad_expected += 1
        self._bad.add(key)

    def mask_came(self, key: Key, *, ours: bool = True) -> None:
        """A mask with this header. ours: false where another process sent the frame."""
        self.masks[key[0]] += 1
        waiting = self._pending.get(key)
        if waiting:
            self.of(waiting.popleft().fault).masks += 1
            if not waiting:
                del self._pending[key]
        elif key in self._bad:
            self.problem(f"a frame that cannot be used got a mask: {key}")
        elif ours:
            self.problem(f"a mask came for a frame that was not sent, or a second time: {key}")

    def goes_away(self) -> None:
        """The node, or the link to it, is about to end: what is under way may get lost."""
        self.away = True
        for waiting in self._pending.values():
            for sent in waiting:
                sent.away |= self.clock() - sent.at_s < RECENT_S

    def is_back(self) -> None:
        """Masks come again."""
        self.away = False

    def problem(self, text: str) -> None:
        """Note it: once, and no more of them than anybody reads."""
        if text not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)

    def check_failures(self) -> None:
        """The diagnostics have every bad frame; what they have beyond those was good."""
        if self.counts.failed > self.bad_expected:
            self.problem(
                f"/diagnostics has {self.counts.failed} failed frames of {self.bad_expected} bad ones: "
                f"{self.counts.reason}"
            )

    def settle(self) -> None:
        """The node's counts end here: whatever has no mask by now is lost, and is explained by them or is not."""
        self.check_failures()
        drops = self.counts.dropped
        for sent in [sent for waiting in self._pending.values() for sent in waiting]:
            tally = self.of(sent.fault)
            if sent.away:
                tally.nobody_there += 1
            elif drops > 0:
                drops -= 1
                tally.dropped += 1
            else:
                tally.unexplained += 1
                self.problem(f"a frame was lost without a reason ({sent.fault}, {sent.at_s:.1f} s)")
        self._pending, self._bad = {}, set()
        self.counts, self.bad_expected = Counts(), 0

    def waiting(self) -> int:
        """How many frames have no mask yet, though the node was there."""
        return sum(not sent.away for waiting in self._pending.values() for sent in waiting)
