"""What goes wrong in a soak, in which order: from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

CALM = "none"
KILL = "node killed with SIGKILL"
FAULTS = {
    "damaged picture": "a JPEG that is cut off or overwritten; raw: bytes are missing, or too many",
    "unknown kind of picture": "a file that is none of the kinds; raw: an encoding that nobody knows",
    "absurd size": "a header that asks for 2³¹ or 30 000 pixels on a side, or for none",
    "size change": "frames of another, random size",
    "stereo on one topic": "two more frame ids with equal stamps",
    "stamps jump back": "by an hour, for some frames",
    "stamps jump ahead": "by an hour, for some frames",
    "stamps stand still": "pictures change, their header does not",
    "neighbours swapped": "each frame arrives before the one before it",
    "camera pauses": "no frames for some seconds",
    "camera killed": "another process is the camera, dies of SIGKILL and this one comes back",
    "odometry is not finite": "NaN and infinity, with a trigger that uses odometry",
    "calibration does not fit": "of another size, of zeros, of NaN",
    "parameters change": "one or two that may change at any time",
    "parameters are refused": "out of range, of another type, or not now",
    "deactivated": "and activated again",
    "unconfigured": "deactivated, cleaned up, given the other transport, configured and activated",
    "refresh": "the service is called",
    "paused": "~/enable with false, then with true",
    "subscriber comes and goes": "to one of the other outputs",
}
"""Kind -> what it is. KILL comes on top, among the first of them only: one life is then long enough to show growth."""

PAUSE_S = (1.0, 8.0)
KILLS, KILL_EVERY_S = 3, 120.0


class Event(NamedTuple):
    """pause_s: without a fault, from the end of the one before. seed: of what it chooses."""

    pause_s: float
    kind: str
    seed: int


def schedule(seed: int, seconds: float) -> Iterator[Event]:
    """Faults without end, for a run of so many seconds. Every kind comes once before any comes again."""
    rng = random.Random(seed)
    kills = [KILL] * min(KILLS, int(seconds // KILL_EVERY_S))
    while True:
        for kind in rng.sample([*FAULTS, *kills], len(FAULTS) + len(kills)):
            yield Event(rng.uniform(*PAUSE_S), kind, rng.getrandbits(32))
        kills = []
