"""The node as a whole, through DDS: latency from publish to mask, CPU load, the cost of outputs, the largest rate.

    python bench/node.py                     all of it, into results/cpu.json (about three minutes)
    python bench/node.py --seconds 2 --json /tmp/node.json     a quick look

Camera, node and reader are processes of their own: the camera is `camera.py`, the reader is this process. Needs
ROS 2 and this package's messages in the environment (`. tools/env.sh`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import psutil
import rclpy
from dcfm_ros.msg import FrameTiming
from parts import NodeRow, OutputRow, RateRow, SuitePart, merge_into
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from suite import PARTS

from dcfm_lab.bench.result import record
from dcfm_ros.config import Size
from dcfm_ros.measure.spread import percentiles
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.replay.live.processes import Child, ChildProcesses, child_environment
from dcfm_ros.share import share_path
from dcfm_ros.stamps import to_ns
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF

SIZES: tuple[Size, ...] = ((480, 360), (640, 480), (1280, 720), (1920, 1080))
MODES = ("inline", "background")
KEY_INTERVAL = 10
RATE_HZ = 15.0
OUTPUT_SIZE, OUTPUT_RATE_HZ = (1280, 720), 30.0
RATES_HZ = (15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0)
OUTPUTS: dict[str, type] = {
    "confidence": Image,
    "overlay": Image,
    "mask/compressed": CompressedImage,
    "camera_info": CameraInfo,
}
WARM_UP = 8
"""Frames before those that count: the first is a key frame that everything waits for."""
SETTLE_S = 1.0
START_S = 400.0
"""The node may have to build its engine first."""
DEEP = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)


@dataclass
class Heard:
    """latencies_ms: of the masks. outside_ms: convert and publish, of each FrameTiming. dropped: by the node's count."""

    latencies_ms: list[float] = field(default_factory=list)
    outside_ms: list[float] = field(default_factory=list)
    dropped: int = 0


class Reader(Node):
    """Notes when masks arrive; subscribes to further outputs when asked."""

    def __init__(self) -> None:
        super().__init__("reader")
        self.heard = Heard()
        self._extra: list[Any] = []
        self.create_subscription(Image, "segmentation/mask", self._on_mask, DEEP)
        self.create_subscription(FrameTiming, "dcfm/timing", self._on_timing, DEEP)

    def listen_to(self, outputs: tuple[str, ...]) -> None:
        """Subscribe to these outputs beside the mask, and to no others."""
        for subscription in self._extra:
            self.destroy_subscription(subscription)
        self._extra = [
            # raw: that this process does not unpack them costs the node nothing and leaves it the core.
            self.create_subscription(OUTPUTS[name], f"segmentation/{name}", lambda data: None, DEEP, raw=True)
            for name in outputs
        ]

    def _on_mask(self, message: Image) -> None:
        sent_ns = to_ns(message.header.stamp)
        self.heard.latencies_ms.append((time.time_ns() - sent_ns) / 1e6)

    def _on_timing(self, message: FrameTiming) -> None:
        self.heard.outside_ms.append(message.convert_ms + message.publish_ms)
        self.heard.dropped = message.dropped


class Bench:
    """A running node with a camera and a reader."""

    def __init__(
        self, children: ChildProcesses, reader: Reader, folder: Path, weights: str, mode: str
    ) -> None:
        environment = child_environment(share_path("config", "fastdds.xml"))
        node = [sys.executable, "-m", "dcfm_ros.node.main", "--ros-args", "-r", "__node:=dcfm"]
        for name, value in (
            ("weights", weights),
            ("mode", mode),
            *(OFF | {"key_interval": KEY_INTERVAL, "max_age_ms": NEVER_MS}).items(),
        ):
            node += ["-p", f"{name}:={value}"]
        self.mode, self._children, self._reader = mode, children, reader
        common = {"env": environment, "cwd": HERE.parent}
        self._node = children.add(Child("node", node, log=folder / "node.log", sends_events=False, **common))
        camera = [sys.executable, str(HERE / "camera.py")]
        self._camera = children.add(
            Child("camera", camera, log=folder / "camera.log", sends_events=True, **common)
        )
        self._event("ready")
        children.until(
            lambda: (
                reader.count_publishers("segmentation/mask") > 0 and reader.count_subscribers("image") > 0
            ),
            seconds=START_S,
            waiting_for="the node",
        )
        time.sleep(SETTLE_S)

    def run(self, size: Size, rate: float, seconds: float, outputs: tuple[str, ...] = ()) -> NodeRow:
        """Sends images of `size` at `rate` and says what came of it."""
        self._reader.listen_to(outputs)
        self._reader.heard = Heard()
        self._send(size, rate, WARM_UP)
        self._settle(WARM_UP)
        before, self._reader.heard = self._reader.heard, Heard()
        count = max(20, round(rate * seconds))
        begin, spent = time.perf_counter(), self._cpu_seconds()
        self._send(size, rate, count)
        cores = (self._cpu_seconds() - spent) / (time.perf_counter() - begin)
        self._settle(count)
        heard = self._reader.heard
        p50, p95, p99 = percentiles(heard.latencies_ms or [float("inf")], (50, 95, 99))
        outside50, outside99 = percentiles(heard.outside_ms or [float("inf")], (50, 99))
        return NodeRow(
            mode=self.mode,
            size=size,
            rate_hz=rate,
            outputs=", ".join(("mask", *outputs)),
            sent=count,
            received=len(heard.latencies_ms),
            dropped=max(0, heard.dropped - before.dropped),
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            outside_p50_ms=outside50,
            outside_p99_ms=outside99,
            cpu_cores=cores,
        )

    def largest_rate(self, size: Size, seconds: float) -> RateRow:
        """Tries ever larger rates until an image stays without a mask."""
        best, tried = 0.0, []
        for rate in RATES_HZ:
            tried.append(rate)
            row = self.run(size, rate, seconds)
            if row.received < row.sent:
                break
            best = rate
        return RateRow(self.mode, size, best, tuple(tried))

    def _send(self, size: Size, rate: float, count: int) -> None:
        self._camera.send(f"{size[0]} {size[1]} {rate} {count}")
        self._event("sent")

    def _settle(self, masks: int) -> None:
        """Waits for what is on its way; a frame that was dropped never arrives."""
        deadline = time.monotonic() + SETTLE_S
        while len(self._reader.heard.latencies_ms) < masks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _event(self, name: str) -> None:
        self._children.until(lambda: name in self._camera.events, seconds=120, waiting_for="the camera")
        del self._camera.events[name]

    def _cpu_seconds(self) -> float:
        spent = psutil.Process(self._node.pid).cpu_times()
        return float(spent.user + spent.system)


def measure(weights: str, seconds: float, folder: Path) -> dict[str, Any]:
    """The fields of the result's part."""
    rows: list[NodeRow] = []
    rates: list[RateRow] = []
    outputs: list[OutputRow] = []
    reader = Reader()
    executor = SingleThreadedExecutor()
    executor.add_node(reader)
    threading.Thread(target=_spin, args=(executor,), daemon=True).start()
    for mode in MODES:
        with ChildProcesses() as children:
            bench = Bench(children, reader, folder, weights, mode)
            for size in SIZES:
                rows.append(bench.run(size, RATE_HZ, seconds))
                print(rows[-1], file=sys.stderr)
            if mode == "background":
                rates += [bench.largest_rate(size, seconds / 2) for size in SIZES]
                outputs += _output_costs(bench, seconds)
    executor.shutdown(timeout_sec=1)
    return {"node": tuple(rows), "rates": tuple(rates), "outputs": tuple(outputs)}


def _output_costs(bench: Bench, seconds: float) -> list[OutputRow]:
    """Each output's cost beside the mask's, against the mean of a run without it before and one after it."""
    rows = []
    before = bench.run(OUTPUT_SIZE, OUTPUT_RATE_HZ, seconds)
    for name in OUTPUTS:
        found = bench.run(OUTPUT_SIZE, OUTPUT_RATE_HZ, seconds, (name,))
        after = bench.run(OUTPUT_SIZE, OUTPUT_RATE_HZ, seconds)
        without = (before.cpu_cores + after.cpu_cores) / 2
        rows.append(OutputRow(name, OUTPUT_SIZE, OUTPUT_RATE_HZ, found.cpu_cores - without))
        before = after
    return rows


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


def main() -> int:
    """Exit status 0: done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", help="model (default: the one that comes with the package)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (default: 5)")
    parser.add_argument("--json", default=str(HERE / "results" / "cpu.json"), help="where the part goes")
    args = parser.parse_args()
    weights = args.weights or str(default_weights())
    # The reader lies in this process: it needs the same profile as its children.
    os.environ.update(child_environment(share_path("config", "fastdds.xml")))
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    rclpy.init(args=[])
    with tempfile.TemporaryDirectory() as folder:
        part = record(
            SuitePart, "node", "python bench/node.py", lambda: measure(weights, args.seconds, Path(folder))
        )
    merge_into(args.json, part, (*PARTS, "node"))
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
