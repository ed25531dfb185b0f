"""A recorded run read back: which image got which mask, when, and how. All numbers of a live run come from here."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bags import Bag, stamp_ns
from dcfm_ros.media.image_decode import to_rgb
from dcfm_ros.media.labels import label_of
from dcfm_ros.media.video_writer import VideoWriter
from dcfm_ros.model.config import ModelCard, in_groups
from dcfm_ros.replay.frame_record import NAN, STEPS, FrameRecord, from_timing
from dcfm_ros.replay.summary import DEFAULT_SPAN_S
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


@dataclass
class Sent:
    """A frame that was played, and what came back for it.

    stamp_ns: of its header. sent_ns: when it was published. mask_ns: when its first mask arrived, None: lost. timing: its
    timing message.
    """

    stamp_ns: int
    sent_ns: int
    mask_ns: int | None = None
    timing: Any | None = None


def read_sent(path: Path) -> list[Sent]:
    """What the player has logged: a line per frame with its stamp and when it was sent."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Sent(*(int(number) for number in line.split(","))) for line in lines if line.count(",") == 1]


class Stamped:
    """The messages of one topic by header stamp, read in the order they were logged; holds a window of them."""

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


def match(bag: Bag, topics: Topics, sent: Sequence[Sent]) -> tuple[set[int], Counter[str]]:
    """One pass over masks, timing messages and labels; the first two are noted at the frames they belong to.

    Returns the stamps that have a label, and how many masks were `duplicates` or `out_of_order`. A stamp that was sent several times (a recording played in a loop) stands for the frame sent last before its mask
    came.
    """
    places: dict[int, list[int]] = {}
    for number, frame in enumerate(sent):
        places.setdefault(frame.stamp_ns, []).append(number)
    labels: set[int] = set()
    odd = Counter(duplicates=0, out_of_order=0)
    newest = -1
    for topic, time_ns, message in bag.messages(topics.mask, topics.timing, topics.label):
        stamp = stamp_ns(message)
        if topic == topics.label:
            labels.add(stamp)
            continue
        # Of the frames with one stamp, the last that was sent before.
        place = max((p for p in places.get(stamp, ()) if sent[p].sent_ns <= time_ns), default=None)
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
    video: VideoWriter | None = None,
    progress: Any = None,
    *,
    sent: Sequence[Sent] | None = None,
    span_s: float = DEFAULT_SPAN_S,
) -> tuple[Tally, Counter[str]]:
    """Match every frame that was played with its mask, timing and label; returns what `match` counts, too.

    Args:
        path: a bag.
        card: of the model.
        video: gets the overlay of every frame.
        progress: called with no arguments after every image.
        sent: what was played, and when; None: every recorded image, at its stamp.
        span_s: length of the run's spans, seconds.

    Raises:
        DcfmError: the bag is damaged, or holds no images.
    """
    bag = Bag(path)
    if sent is None:  # images are stamped as they are sent: their stamps say when
        stamps = [stamp_ns(message) for _, _, message in bag.messages(topics.image)]
        sent = [Sent(stamp, stamp) for stamp in stamps]
    if not sent:
        raise DcfmError(f"The recording {path} holds no images on {topics.image}.")
    labelled, odd = match(bag, topics, sent)
    masks, labels = Stamped(bag, topics.mask), Stamped(bag, topics.label)
    images = _images_of(bag, topics.image, sent)
    run = Tally(card, span_s)
    for frame, image in zip(sent, images, strict=True):
        record, stamp = _record(frame, sent[0].sent_ns), frame.stamp_ns
        mask_message = None if record.lost else masks.at(stamp)
        if mask_message is None or image is None:
            run.lose(record, "" if image is None else image.header.frame_id)
        else:
            rgb, mask = to_rgb(image), label_of(mask_message, topics.mask)
            label = labels.at(stamp) if stamp in labelled else None
            truth = None if label is None else in_groups(label_of(label, topics.label), card)
            run.add(record, rgb, mask, truth, frame_id=image.header.frame_id)
            if video is not None:
                video.write(draw_overlay(rgb, mask, card))
        if progress is not None:
            progress()
    return run, odd


def _images_of(bag: Bag, topic: str, sent: Sequence[Sent]) -> Iterator[Any | None]:
    """The recorded image of every frame sent; None for one that the recorder did not get."""
    images = bag.messages(topic)
    entry = next(images, None)
    for frame in sent:
        if entry is not None and stamp_ns(entry[2]) == frame.stamp_ns:
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
