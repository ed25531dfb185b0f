"""A recorded run read back: which image got which mask, when, and how. All numbers of a live run come from here."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.files import strict_json
from dcfm_ros.measure.table import counted
from dcfm_ros.media.bags import Bag, stamp_ns
from dcfm_ros.media.image_decode import to_rgb
from dcfm_ros.media.labels import label_of
from dcfm_ros.model.config import ModelCard, in_groups
from dcfm_ros.replay.run_video import RunVideo
from dcfm_ros.replay.summary import DEFAULT_SPAN_S, NAN, STEPS, FrameRecord, from_timing
from dcfm_ros.replay.tally import Tally
from dcfm_ros.stamps import to_ns
from dcfm_ros.stream.overlay import draw_overlay

_WINDOW = 256


@dataclass(frozen=True)
class Topics:
    """Names of the topics in a recording. Log times are arrival times; images carry the time they were sent as stamp."""

    image: str
    mask: str
    timing: str
    label: str
    diagnostics: str


@dataclass
class Sent:
    """A frame that was played, and what came back for it."""

    stamp_ns: int  # of its header, as the frame_id
    sent_ns: int  # when it was published
    frame_id: str
    mask_ns: int | None = None  # when its first mask arrived, None: lost
    timing: Any | None = None  # its timing message

    @property
    def key(self) -> Key:
        """What everything that belongs to the frame has in common."""
        return self.stamp_ns, self.frame_id


Key = tuple[int, str]
"""Stamp and frame id: both eyes of a stereo camera may be stamped alike."""


def key_of(message: Any) -> Key:
    """The stamp and frame_id of a message's header."""
    return stamp_ns(message), message.header.frame_id


def read_sent(path: Path) -> list[Sent]:
    """What the player has logged: a line per frame with its stamp, when it was sent, and its frame id."""
    text = path.read_text(encoding="utf-8")
    # A player that was killed has left half a line.
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [_sent(*line.split(",", 2)) for line in whole]


def sent_as_recorded(path: Path, topics: Topics) -> list[Sent]:
    """Every recorded image, where images are stamped as they are sent: their stamps say when. DcfmError as for a `Bag`."""
    keys = [key_of(message) for _, _, message in Bag(path).messages(topics.image)]
    return [Sent(stamp, stamp, frame_id) for stamp, frame_id in keys]


def _sent(stamp: str, sent: str, frame_id: str) -> Sent:
    return Sent(int(stamp), int(sent), str(strict_json(frame_id)))


class ByHeader:
    """The messages of one topic by stamp and frame id, read in the order they were logged; holds a window of them."""

    def __init__(self, bag: Bag, topic: str) -> None:
        self._messages = bag.messages(topic)
        self._window: OrderedDict[Key, Any] = OrderedDict()

    def at(self, key: Key) -> Any | None:
        """The first message of this header; None when the topic ends without one. Ask only for those that exist."""
        while key not in self._window:
            entry = next(self._messages, None)
            if entry is None:
                return None
            self._window.setdefault(key_of(entry[2]), entry[2])
            if len(self._window) > _WINDOW:
                self._window.popitem(last=False)
        return self._window.pop(key)


def match(bag: Bag, topics: Topics, sent: Sequence[Sent]) -> tuple[set[Key], Counter[str]]:
    """One pass over masks, timing messages and labels; the first two are noted at the frames they belong to.

    Returns the headers that have a label, and how many masks were `duplicates` or `out_of_order`. A stamp that was
    sent several times (a recording played in a loop) stands for the frame sent last before its mask came.
    """
    places: dict[Key, list[int]] = {}
    for number, frame in enumerate(sent):
        places.setdefault(frame.key, []).append(number)
    labels: set[Key] = set()
    odd = Counter(duplicates=0, out_of_order=0)
    newest = -1
    for topic, time_ns, message in bag.messages(topics.mask, topics.timing, topics.label):
        key = key_of(message)
        if topic == topics.label:
            labels.add(key)
            continue
        # Of the frames with one stamp, the last that was sent before.
        place = max((p for p in places.get(key, ()) if sent[p].sent_ns <= time_ns), default=None)
        if place is None:
            continue
        frame = sent[place]
        if topic == topics.timing:
            frame.timing = frame.timing or message
        elif frame.mask_ns is not None:
            odd["duplicates"] += 1
        else:
            frame.mask_ns = time_ns
            odd["out_of_order"] += place < newest
            newest = max(newest, place)
    return labels, odd


def read_recording(
    path: Path,
    topics: Topics,
    card: ModelCard,
    video: RunVideo | None = None,
    progress: Any = None,
    *,
    sent: Sequence[Sent],
    span_s: float = DEFAULT_SPAN_S,
) -> tuple[Tally, Counter[str]]:
    """Match every frame that was played with its mask, timing and label; returns what `match` counts, too.

    path: a bag. card: of the model. video: gets the overlay of every frame. progress: called with no arguments
    after every image. sent: what was played, and when; what came back is noted there. span_s: length of the
    run's spans, seconds.
    Raises DcfmError: the bag is damaged, or holds no images.
    """
    bag = Bag(path)
    if not sent:
        raise DcfmError(f"The recording {path} holds no images on {topics.image}.")
    labelled, odd = match(bag, topics, sent)
    masks, labels = ByHeader(bag, topics.mask), ByHeader(bag, topics.label)
    images = _images_of(bag, topics.image, sent)
    run = Tally(card, span_s)
    for frame, image in zip(sent, images, strict=True):
        record, key = _record(frame, sent[0].sent_ns), frame.key
        mask_message = None if record.lost else masks.at(key)
        if mask_message is None or image is None:
            run.lose(record, frame.frame_id)
        else:
            rgb, mask = to_rgb(image), label_of(mask_message, topics.mask)
            label = labels.at(key) if key in labelled else None
            truth = None if label is None else in_groups(label_of(label, topics.label), card)
            run.add(record, rgb, mask, truth, frame_id=frame.frame_id)
            if video is not None:
                video.write(len(run.records) - 1, rgb, mask, draw_overlay(rgb, mask, card))
        if progress is not None:
            progress()
    return run, odd


def engine_of(path: Path, topics: Topics) -> str:
    """The engine, device and precision that the node which sent the timing messages tells of; "" where it tells nothing."""
    node = topics.timing.strip("/").rpartition("/")[0]
    for _, _, message in Bag(path).messages(topics.diagnostics):
        for status in message.status:
            values = {each.key: each.value for each in status.values}
            if status.hardware_id == node and "engine" in values:
                return ", ".join(values[key] for key in ("engine", "device", "precision"))
    return ""


def _images_of(bag: Bag, topic: str, sent: Sequence[Sent]) -> Iterator[Any | None]:
    """The recorded image of every frame sent; None for one that the recorder did not get."""
    images = bag.messages(topic)
    entry = next(images, None)
    for frame in sent:
        if entry is not None and key_of(entry[2]) == frame.key:
            yield entry[2]
            entry = next(images, None)
        else:
            yield None


def _record(frame: Sent, first_ns: int) -> FrameRecord:
    stamp, timing = frame.stamp_ns, frame.timing
    sent_ms = (frame.sent_ns - first_ns) / 1e6
    if frame.mask_ns is None:
        return FrameRecord(stamp, sent_ms)
    received_ms = (frame.mask_ns - first_ns) / 1e6
    if timing is None:
        return FrameRecord(stamp, sent_ms, received_ms)
    return FrameRecord(
        stamp,
        sent_ms,
        received_ms,
        **from_timing(timing),
        key_stamp_ns=to_ns(timing.key_stamp),
        steps={step: float(getattr(timing, f"{step}_ms")) for step in STEPS},
        common_ms=float(timing.common_ms) if timing.common_ms > 0 else NAN,
    )


@dataclass(frozen=True)
class Stages:
    """Frames by stage, as each stage counts them itself: the player, the node (up to the last frame it tells of), the recorder."""

    published: int
    received: int  # by the node, as the next three
    segmented: int
    replaced: int  # by a newer one, or came twice
    failed: int  # could not be used
    masks: int  # that the recorder got, as the images
    images: int
    untold: int  # published after the last that the node tells of

    @classmethod
    def of(cls, sent: Sequence[Sent], published: int, images: int) -> Stages:
        """Of the frames played, matched with what came back. images: how many the recorder got."""
        told = [place for place, frame in enumerate(sent) if frame.timing is not None]
        last = sent[told[-1]].timing if told else None
        received, segmented, replaced, failed = (
            int(getattr(last, name, 0)) for name in ("received", "processed", "dropped", "failed")
        )
        untold = len(sent) - 1 - (told[-1] if told else -1)
        masks = sum(frame.mask_ns is not None for frame in sent)
        return cls(published, received, segmented, replaced, failed, masks, images, untold)

    def losses(self) -> list[str]:
        """Who lost how many, in words; empty where none is missing."""
        found = (
            (self.published - self.untold - self.received, "frame", "published and not received by the node"),
            (self.replaced, "frame", "replaced by a newer one in the node, before their turn"),
            (self.failed, "frame", "that the node could not use"),
            (self.segmented - self.masks, "mask", "published by the node and not recorded"),
            (
                self.published - self.images,
                "image",
                "published and not recorded: there is no picture of them",
            ),
        )
        told = [f"{counted(count, noun)} {what}" for count, noun, what in found if count > 0]
        if self.untold and self.masks < self.published:
            told.append(f"the node reports nothing on the last {counted(self.untold, 'frame')}")
        return told
