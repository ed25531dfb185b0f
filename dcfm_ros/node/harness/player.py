"""Publishes a source's frames as a camera would: one by one, at the recorded rate.

Each is stamped as it is sent, as a camera does; or with its recorded stamp, as `ros2 bag play` does, with the
simulated time to go with it where that is asked for.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.labels import open_labels
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import Frame, Source
from dcfm_ros.node.harness.control import Commands, report, run_process
from dcfm_ros.node.publish import Pictures, reliable
from dcfm_ros.stamps import set_ns

QUEUE_DEPTH = 100
_FRAME_ID = "camera"
_CLOCK_PERIOD_S = 0.01


class Player(Node):
    """A camera made of a source of frames; the labels, where there are any, go out beside the images."""

    def __init__(self, image_topic: str, label_topic: str) -> None:
        super().__init__("player")
        self._image = Pictures(self.create_publisher(Image, image_topic, reliable(QUEUE_DEPTH)), "rgb8")
        self._label = Pictures(self.create_publisher(Image, label_topic, reliable(QUEUE_DEPTH)), "mono8")

    @property
    def listeners(self) -> int:
        """How many subscriptions the images have."""
        return self._image.publisher.get_subscription_count()

    def send(
        self, frame: Frame, label: np.ndarray | None, stamp_ns: int | None = None
    ) -> tuple[int, int, str]:
        """Publish a frame and its label; returns their stamp and when they were sent, ns, and their frame id.

        stamp_ns: None: the moment they are sent.
        """
        pictures = [(self._image, frame.rgb)] + ([(self._label, label)] if label is not None else [])
        for publisher, pixels in pictures:
            np.copyto(publisher.canvas(pixels.shape), pixels)
        # The stamp is taken last: what arrives later minus the stamp is then transport and processing, nothing of ours.
        sent_ns = time.time_ns()
        stamp_ns = sent_ns if stamp_ns is None else stamp_ns
        header = Header(frame_id=frame.frame_id or _FRAME_ID)
        set_ns(header.stamp, stamp_ns)
        for publisher, _ in pictures:
            publisher.publish_canvas(header)
        return stamp_ns, sent_ns, header.frame_id


class SimulatedTime:
    """Publishes /clock: recorded time, running on from the last frame's stamp at the speed of real time."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Clock, "/clock", 10)
        self._anchor: tuple[int, int] | None = None  # stamp and monotonic time of the last frame, ns
        self._turn = threading.Lock()  # no time from before a frame is published after that frame's
        threading.Thread(target=self._run, name="clock", daemon=True).start()

    def reach(self, stamp_ns: int) -> None:
        """Set the clock to this time."""
        with self._turn:
            self._anchor = stamp_ns, time.monotonic_ns()
            self._publish()

    def _run(self) -> None:
        while rclpy.ok():
            time.sleep(_CLOCK_PERIOD_S)
            with self._turn:
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
    """Writes a line for every frame: its stamp and when it was sent, in ns, and its frame id as JSON."""

    def __init__(self, path: str | None) -> None:
        self._file = open(path, "w", encoding="utf-8") if path else None  # noqa: SIM115, it lives as long as this

    def add(self, stamp_ns: int, sent_ns: int, frame_id: str) -> None:
        if self._file is not None:
            self._file.write(f"{stamp_ns},{sent_ns},{json.dumps(frame_id)}\n")
            self._file.flush()


def paced(source: Source, fps: float | None, commands: Commands) -> Iterator[Frame]:
    """The frames, each when it is due: at the recorded distance from the first one, or at `fps`. Ends when told to.

    A source that falls behind is followed as fast as it goes; lost time is not made up for with a burst.
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
            if commands.next(wait) == Commands.END:
                return
        elif commands.next() == Commands.END:
            return
        if wait < 0:
            start -= round(wait * 1e9)
        yield frame


def resized(rgb: np.ndarray, size: Size, interpolation: int) -> np.ndarray:
    """The picture at (width, height); the same array if that is its size."""
    return rgb if (rgb.shape[1], rgb.shape[0]) == size else cv2.resize(rgb, size, interpolation=interpolation)


def play(args: argparse.Namespace, commands: Commands) -> None:
    """Open the source, wait for all listeners and the parent's "go", and send the frames."""
    with open_source(args.input, args.topic, rate=args.fps, labels=args.labels) as source:
        labels = open_labels(source, args.labels)
        player = Player(args.image_topic, args.label_topic)
        length = None if args.loop == 0 or source.length is None else source.length * args.loop
        report("ready", kind=source.kind, length=length, rate=source.rate, labels=labels.name)
        while player.listeners < args.listeners:
            if commands.next(0.02) == Commands.END:
                return
        report("matched")
        if commands.next(args.patience) != "go":
            return
        news = _LabelNews()
        sent = _send_all(player, source, args, commands, news)
        told = {"skipped": dict(source.skipped), "labels": news.useless, "remark": news.remark}
        report("done", sent=sent, problem=source.problem, **told)
        # Whoever is slow still gets the last frames: the publisher must outlive their delivery.
        while commands.next(0.1) != Commands.END:
            pass


@dataclass
class _LabelNews:
    """What the report must mention of the labels: those that could not be used, reason -> count, and how they matched."""

    useless: Counter[str] = field(default_factory=Counter)
    remark: str = ""


def _send_all(
    player: Player, source: Source, args: argparse.Namespace, commands: Commands, news: _LabelNews
) -> int:
    """Returns how many frames were sent."""
    sent, log = 0, SentLog(args.sent)
    clock = SimulatedTime(player) if args.clock else None
    for frame, label in itertools.islice(_looped(source, args, commands, news), args.frames):
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
    source: Source, args: argparse.Namespace, commands: Commands, news: _LabelNews
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Frames with their labels, repeated as often as asked for."""
    for turn in itertools.count() if args.loop == 0 else range(args.loop):
        # The next turn begins one frame after the last one's end.
        if turn and commands.next(1 / (args.fps or source.rate or 15.0)) == Commands.END:
            return
        labels = open_labels(source, args.labels)
        for frame in paced(source, args.fps, commands):
            try:
                label = labels.of(frame)
            except DcfmError as error:
                label = None
                news.useless[str(error)] += 1
            news.remark = labels.remark
            yield frame, label
        news.useless.update(labels.unused())


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
    parser.add_argument("--loop", type=int, default=1)  # 0: forever
    parser.add_argument("--recorded-stamps", action="store_true")
    parser.add_argument("--clock", action="store_true")
    parser.add_argument("--sent")
    args = parser.parse_args()
    args.size = tuple(args.size) if args.size else None
    return run_process(lambda commands: play(args, commands))


if __name__ == "__main__":
    sys.exit(main())
