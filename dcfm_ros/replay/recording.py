"""A recorded run read back: which image got which mask, when, and how. All of a live run's numbers come from here."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.replay.bags import Bag, stamp_ns, to_rgb
from dcfm_ros.replay.labels import label_of
from dcfm_ros.replay.record import NAN, STEPS, FrameRecord
from dcfm_ros.replay.run import Run
from dcfm_ros.replay.video_writer import VideoWriter
from dcfm_ros.stream.overlay import Legend, draw_overlay

_WINDOW = 256


@dataclass(frozen=True)
class Topics:
    """Names of the topics in a recording. Log times are arrival times; images carry the time they were sent as stamp."""

    image: str
    mask: str
    timing: str
    label: str


@dataclass(frozen=True)
class Arrivals:
    """What arrived, by header stamp: log time of the first mask, timing message, labels; and what was odd."""

    masks: dict[int, int]
    timings: dict[int, Any]
    labels: set[int]
    duplicates: int
    out_of_order: int


class Stamped:
    """The messages of one topic by header stamp, read along in log-time order; holds a window of them."""

    def __init__(self, bag: Bag, topic: str) -> None:
        self._messages = bag.messages(topic)
        self._window: OrderedDict[int, Any] = OrderedDict()

    def at(self, stamp: int) -> Any | None:
        """The first message with this stamp; None when the topic ends without one. Ask only for stamps that exist."""
        while stamp not in self._window:
            entry = next(self._messages, None)
            if entry is None:
                return None
            self._window.setdefault(stamp_ns(entry[2]), entry[2])
            if len(self._window) > _WINDOW:
                self._window.popitem(last=False)
        return self._window.pop(stamp)


def arrivals(bag: Bag, topics: Topics) -> Arrivals:
    """One pass over masks, timing messages and labels."""
    masks: dict[int, int] = {}
    timings: dict[int, Any] = {}
    labels: set[int] = set()
    odd: Counter[str] = Counter()
    newest = -1
    for topic, time_ns, message in bag.messages(topics.mask, topics.timing, topics.label):
        stamp = stamp_ns(message)
        if topic == topics.timing:
            timings.setdefault(stamp, message)
        elif topic == topics.label:
            labels.add(stamp)
        elif stamp in masks:
            odd["duplicates"] += 1
        else:
            masks[stamp] = time_ns
            odd["out_of_order"] += stamp < newest
            newest = max(newest, stamp)
    return Arrivals(masks, timings, labels, odd["duplicates"], odd["out_of_order"])


def read_recording(
    path: Path, topics: Topics, card: Legend, video: VideoWriter | None = None, progress: Any = None
) -> tuple[Run, Arrivals]:
    """Match every recorded image with its mask, timing and label.

    Args:
        path: a bag.
        card: names and colours of the classes.
        video: gets the overlay of every frame.
        progress: called with no arguments after every image.

    Raises:
        DcfmError: the bag is damaged, or holds no images.
    """
    bag = Bag(path)
    arrived = arrivals(bag, topics)
    masks, labels = Stamped(bag, topics.mask), Stamped(bag, topics.label)
    run = Run(card)
    first: int | None = None
    for _, _, message in bag.messages(topics.image):
        stamp = stamp_ns(message)
        first = stamp if first is None else first
        sent_ms = (stamp - first) / 1e6
        if stamp not in arrived.masks:
            run.lose(FrameRecord(stamp, sent_ms))
        else:
            received_ms = (arrived.masks[stamp] - first) / 1e6
            record = _record(stamp, sent_ms, received_ms, arrived.timings.get(stamp))
            rgb, mask = to_rgb(message), label_of(masks.at(stamp), topics.mask)
            label = label_of(labels.at(stamp), topics.label) if stamp in arrived.labels else None
            run.add(record, rgb, mask, label)
            if video is not None:
                video.write(draw_overlay(rgb, mask, card))
        if progress is not None:
            progress()
    if first is None:
        raise DcfmError(f"The recording {path} holds no images on {topics.image}.")
    return run, arrived


def _record(stamp: int, sent_ms: float, received_ms: float, timing: Any | None) -> FrameRecord:
    if timing is None:
        return FrameRecord(stamp, sent_ms, received_ms)
    return FrameRecord(
        stamp,
        sent_ms,
        received_ms,
        key_frame=bool(timing.key_frame or timing.trigger),
        trigger=timing.trigger,
        key_stamp_ns=timing.key_stamp.sec * 1_000_000_000 + timing.key_stamp.nanosec,
        age_ms=float(timing.age_ms),
        age_frames=int(timing.age_frames),
        motion=float(timing.motion),
        agreement=float(timing.agreement),
        steps={step: float(getattr(timing, f"{step}_ms")) for step in STEPS},
        common_ms=float(timing.common_ms) if timing.common_ms > 0 else NAN,
    )
