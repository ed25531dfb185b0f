"""Records a live run into a bag: every image, label, mask, timing message and diagnosis, at the time it arrived.

The callbacks note the time and hand the serialized message on; a thread writes, so that writing one message does not
delay the arrival of the next.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.image_decode import to_rgb
from dcfm_ros.media.messages import COMPRESSED_IMAGE, DIAGNOSTICS, FRAME_TIMING, IMAGE, jpeg, typestore
from dcfm_ros.msg import FrameTiming
from dcfm_ros.node.harness.control import Commands, report, run_process
from dcfm_ros.node.publish import reliable
from dcfm_ros.stamps import NS_PER_S

QUEUE_DEPTH = 100
_PROGRESS_PERIOD = 0.1
# After the player's last frame: no mask for this long means that none will come.
_SILENCE = 2.0
_MAX_WAITING = 256


def header_stamp_ns(data: bytes) -> int:
    """The stamp of a serialized message that begins with a header: it follows four bytes that give the byte order."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return seconds * NS_PER_S + nanoseconds


class Recorder(Node):
    """Subscribes to everything of a run and counts what arrives."""

    def __init__(self, topics: argparse.Namespace, writer: WriterThread) -> None:
        super().__init__("recorder")
        self._writer = writer
        # By stamp, because a recording that is played in a loop has each of them several times.
        self.images: Counter[int] = Counter()
        self.masks: Counter[int] = Counter()
        self.timings = self.diagnoses = 0
        self._came: dict[int, int] = {}  # arrival of images whose mask is still to come
        self.last_arrival = time.monotonic()
        self.last_latency_ms = float("nan")
        self._readers = [
            self._read(Image, IMAGE, topics.image, self._on_image),
            self._read(Image, IMAGE, topics.label, lambda *_: None),
            self._read(Image, IMAGE, topics.mask, self._on_mask),
            self._read(FrameTiming, FRAME_TIMING, topics.timing, self._on_timing),
            self._read(DiagnosticArray, DIAGNOSTICS, topics.diagnostics, self._on_diagnosis),
        ]

    def _read(self, kind: type, name: str, topic: str, note: Callable[[int, int], None]) -> Any:
        """Record a topic; `note` gets each message's stamp and time of arrival, ns."""

        def on_message(data: bytes) -> None:
            now = time.time_ns()
            self._writer.put(topic, name, now, data)
            note(header_stamp_ns(data), now)

        return self.create_subscription(kind, topic, on_message, reliable(QUEUE_DEPTH), raw=True)

    def is_matched(self) -> bool:
        """Whether each reader has met its publisher: what is sent before would be lost to it."""
        return all(self._met(reader) > 0 for reader in self._readers)

    def _met(self, reader: Any) -> int:
        """How many a reader has met; before Jazzy, which does not tell that, how many were announced."""
        if hasattr(reader, "get_publisher_count"):
            return int(reader.get_publisher_count())
        return int(self.count_publishers(reader.topic_name))

    def _on_image(self, stamp: int, now: int) -> None:
        self.images[stamp] += 1
        self._came[stamp] = now
        if len(self._came) > _MAX_WAITING:
            self._came.pop(next(iter(self._came)))

    def _on_mask(self, stamp: int, now: int) -> None:
        self.masks[stamp] += 1
        self.last_arrival = time.monotonic()
        self.last_latency_ms = (now - self._came.pop(stamp, now)) / 1e6

    def _on_timing(self, stamp: int, now: int) -> None:
        self.timings += 1

    def _on_diagnosis(self, stamp: int, now: int) -> None:
        self.diagnoses += 1

    def is_complete(self) -> bool:
        """Whether everything of the images that came is there; a run may end before the first diagnosis."""
        of_masks = self.images <= self.masks and self.timings >= self.masks.total()
        return of_masks and self.diagnoses > 0


class WriterThread:
    """Writes messages to a bag in a thread; camera images become JPEG, as cameras and image_transport do."""

    def __init__(self, path: Path, image_topic: str) -> None:
        self._bag = BagWriter(path)
        self._image_topic = image_topic
        self._queue: queue.SimpleQueue[tuple[str, str, int, bytes] | None] = queue.SimpleQueue()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="bag writer")
        self._thread.start()

    def put(self, topic: str, kind: str, time_ns: int, data: bytes) -> None:
        """Hand over a serialized message."""
        self._queue.put((topic, kind, time_ns, data))

    def close(self) -> None:
        """Write what is left and finish the bag."""
        self._queue.put(None)
        self._thread.join()
        self._bag.close()

    def _run(self) -> None:
        try:
            while (entry := self._queue.get()) is not None:
                topic, kind, time_ns, data = entry
                if topic == self._image_topic:
                    self._write_image(time_ns, data)
                else:
                    self._bag.write_raw(topic, kind, time_ns, data)
        except Exception as error:  # reported by the main thread, which ends the run
            self.error = error

    def _write_image(self, time_ns: int, data: bytes) -> None:
        message = typestore().deserialize_cdr(data, IMAGE)
        picture = jpeg(to_rgb(message), header_stamp_ns(data), message.header.frame_id)
        self._bag.write(f"{self._image_topic}/compressed", COMPRESSED_IMAGE, time_ns, picture)


def record(args: argparse.Namespace, commands: Commands, writer: WriterThread) -> None:
    """Record until told to finish and nothing more can come."""
    recorder = Recorder(args, writer)
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    spinner = threading.Thread(target=_spin, args=(executor,), name="executor", daemon=True)
    spinner.start()
    report("ready")
    matched, finishing = False, False
    while writer.error is None:
        command = commands.next(_PROGRESS_PERIOD if not finishing else 0.01)
        if command == "finish":
            finishing, recorder.last_arrival = True, time.monotonic()
        elif command == Commands.END:
            break
        if not matched and recorder.is_matched():
            matched = True
            report("matched")
        report(
            "progress",
            images=recorder.images.total(),
            masks=recorder.masks.total(),
            latency_ms=recorder.last_latency_ms,
        )
        if finishing and (recorder.is_complete() or time.monotonic() - recorder.last_arrival > _SILENCE):
            break
    executor.shutdown()
    spinner.join()
    if writer.error is not None:
        raise writer.error
    report("done", images=recorder.images.total(), masks=recorder.masks.total())


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


def main() -> int:
    """Entry point of the process; the demo command gives the arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bag", type=Path)
    for name in ("image", "label", "mask", "timing", "diagnostics"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()

    def work(commands: Commands) -> None:
        writer = WriterThread(args.bag, args.image)
        try:
            record(args, commands, writer)
        finally:
            writer.close()

    return run_process(work)


if __name__ == "__main__":
    sys.exit(main())
