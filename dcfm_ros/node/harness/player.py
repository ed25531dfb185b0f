"""Publishes a source's frames as a camera would: one by one, at the recorded rate.

Each is stamped as it is sent, as a camera does it; or with its recorded stamp, as `ros2 bag play` does it, with the
simulated time to go with it where that is asked for.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.labels import open_labels
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import Frame, Source
from dcfm_ros.node.harness.talk import Words, run_process, say
from dcfm_ros.stamps import set_ns

QUEUE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)
_FRAME_ID = "camera"
_CLOCK_PERIOD_S = 0.01


class Player(Node):
    """A camera made of a source of frames; the labels, where there are any, go out beside the images."""

    def __init__(self, image_topic: str, label_topic: str) -> None:
        super().__init__("player")
        self._image = self.create_publisher(Image, image_topic, QUEUE)
        self._label = self.create_publisher(Image, label_topic, QUEUE)

    @property
    def listeners(self) -> int:
        """How many subscriptions the images have."""
        return self._image.get_subscription_count()

    def send(self, frame: Frame, label: np.ndarray | None, stamp_ns: int | None = None) -> tuple[int, int]:
        """Publish a frame and its label; returns their stamp and when they were sent, ns.

        Args:
            stamp_ns: None: the moment they are sent.
        """
        messages = [(self._image, _image(frame.rgb, "rgb8", frame.frame_id or _FRAME_ID))]
        if label is not None:
            messages.append((self._label, _image(label, "mono8", frame.frame_id or _FRAME_ID)))
        # The stamp is taken last: what arrives later minus the stamp is then transport and processing, nothing of ours.
        sent_ns = time.time_ns()
        stamp_ns = sent_ns if stamp_ns is None else stamp_ns
        for publisher, message in messages:
            set_ns(message.header.stamp, stamp_ns)
            publisher.publish(message)
        return stamp_ns, sent_ns


class SimulatedTime:
    """Publishes /clock: recorded time, going on from the last frame's stamp as fast as real time does."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Clock, "/clock", 10)
        self._anchor: tuple[int, int] | None = None  # stamp and monotonic time of the last frame, ns
        threading.Thread(target=self._run, name="clock", daemon=True).start()

    def reach(self, stamp_ns: int) -> None:
        """It is this time now."""
        self._anchor = stamp_ns, time.monotonic_ns()
        self._publish()

    def _run(self) -> None:
        while rclpy.ok():
            time.sleep(_CLOCK_PERIOD_S)
            if self._anchor is not None and rclpy.ok():
                self._publish()

    def _publish(self) -> None:
        assert self._anchor is not None
        stamp_ns, at_ns = self._anchor
        message = Clock()
        now_ns = stamp_ns + time.monotonic_ns() - at_ns
        set_ns(message.clock, now_ns)
        self._publisher.publish(message)


class SentLog:
    """Writes a line for every frame: its stamp and when it was sent, in ns."""

    def __init__(self, path: str | None) -> None:
        self._file = open(path, "w", encoding="utf-8") if path else None  # noqa: SIM115, it lives as long as this

    def add(self, stamp_ns: int, sent_ns: int) -> None:
        if self._file is not None:
            self._file.write(f"{stamp_ns},{sent_ns}\n")
            self._file.flush()


def _image(pixels: np.ndarray, encoding: str, frame_id: str) -> Image:
    message = Image()
    message.header.frame_id = frame_id
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.step = pixels.shape[1] * (1 if pixels.ndim == 2 else pixels.shape[2])
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    message.data = data
    return message


def paced(source: Source, fps: float | None, stop: Words) -> Iterator[Frame]:
    """The frames, each when it is due: at the recorded distance to the first one, or at `fps`. Ends when told to.

    A source that cannot deliver in time is followed as fast as it goes; lost time is not caught up with a burst.
    """
    start, first = None, 0
    for index, frame in enumerate(source):
        due = round(index * 1e9 / fps) if fps else frame.stamp_ns - first
        now = time.monotonic_ns()
        if start is None or due < 0:
            start, first, due = now, frame.stamp_ns, 0
            if fps:
                start -= round(index * 1e9 / fps)
        wait = (start + due - now) / 1e9
        if source.kind != "camera" and wait > 0:
            if stop.next(wait) == Words.END:
                return
        elif stop.next() == Words.END:
            return
        if wait < 0:
            start -= round(wait * 1e9)
        yield frame


def resized(rgb: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    """The picture at (width, height); as it is where that is its size."""
    return rgb if (rgb.shape[1], rgb.shape[0]) == size else cv2.resize(rgb, size, interpolation=interpolation)


def play(args: argparse.Namespace, words: Words) -> None:
    """Open the source, wait for all listeners and the parent's word, and send the frames."""
    with open_source(args.input, args.topic, rate=args.fps, labels=args.labels) as source:
        labels = open_labels(source, args.labels)
        player = Player(args.image_topic, args.label_topic)
        length = None if args.loop == 0 or source.length is None else source.length * args.loop
        say("ready", kind=source.kind, length=length, rate=source.rate, labels=labels.name)
        while player.listeners < args.listeners:
            if words.next(0.02) == Words.END:
                return
        say("matched")
        if words.next(args.patience) != "go":
            return
        useless: Counter[str] = Counter()
        sent = _send_all(player, source, args, words, useless)
        say("done", sent=sent, skipped=dict(source.skipped), labels=useless, problem=source.problem)
        # Whoever is slow still gets the last frames: the publisher must outlive their delivery.
        while words.next(0.1) != Words.END:
            pass


def _send_all(
    player: Player, source: Source, args: argparse.Namespace, words: Words, useless: Counter[str]
) -> int:
    """How many frames were sent. useless: gets the labels that could not be read, reason -> count."""
    sent, log = 0, SentLog(args.sent)
    clock = SimulatedTime(player) if args.clock else None
    for frame, label in itertools.islice(_looped(source, args, words, useless), args.frames):
        if args.size:
            rgb = resized(frame.rgb, args.size, cv2.INTER_AREA)
            frame = Frame(rgb, frame.stamp_ns, frame.time_ns, frame.frame_id, frame.name)
            label = None if label is None else resized(label, args.size, cv2.INTER_NEAREST)
        if clock is not None:
            clock.reach(frame.stamp_ns)
        log.add(*player.send(frame, label, frame.stamp_ns if args.recorded_stamps else None))
        sent += 1
    return sent


def _looped(
    source: Source, args: argparse.Namespace, words: Words, useless: Counter[str]
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Frames with their labels, again and again as often as asked for."""
    for turn in itertools.count() if args.loop == 0 else range(args.loop):
        # The next turn begins one frame after the last one's end.
        if turn and words.next(1 / (args.fps or source.rate or 15.0)) == Words.END:
            return
        labels = open_labels(source, args.labels)
        for frame in paced(source, args.fps, words):
            try:
                label = labels.of(frame)
            except DcfmError as error:
                label = None
                useless[str(error)] += 1
            yield frame, label


def main() -> int:
    """Entry point of the process; the demo command gives the arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("--topic")
    parser.add_argument("--labels")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--fps", type=float)
    parser.add_argument("--size", type=int, nargs=2)
    parser.add_argument("--image-topic", required=True)
    parser.add_argument("--label-topic", required=True)
    parser.add_argument("--listeners", type=int, required=True)
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("--loop", type=int, default=1)  # 0: for ever
    parser.add_argument("--recorded-stamps", action="store_true")
    parser.add_argument("--clock", action="store_true")
    parser.add_argument("--sent")
    args = parser.parse_args()
    args.size = tuple(args.size) if args.size else None
    return run_process(lambda words: play(args, words))


if __name__ == "__main__":
    sys.exit(main())
