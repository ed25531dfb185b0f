"""The two clocks of a replay: as fast as possible, for accuracy; and as on the robot, for what its camera would get.

Both have the same members. name: for people and files. latency: what its latency means, in a sentence. rest: the part
of it that is no step of the frame's own. `stream` makes a segmenter that lives in this clock's time, `play` puts a
recording's frames through it; each of them comes out once.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dcfm_ros.engines.base import Engine
from dcfm_ros.media.source import Frame
from dcfm_ros.replay.simulation import SimulatedInbox, SimulatedSlices, SimulatedThread, VirtualTime
from dcfm_ros.stream.common_feature import CommonBranch
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.preprocess import preprocess
from dcfm_ros.stream.segmentation import Segmentation
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.slice_plan import SlicePlan
from dcfm_ros.stream.streams import Streams
from dcfm_ros.stream.worker import MakeWorker
from dcfm_ros.stream.workers import threads_of, way_of

_DEFAULT_STEP_MS = 1e3 / 15


@dataclass(frozen=True)
class Played:
    """A frame and what became of it."""

    frame: Frame
    result: Segmentation | None  # None for a frame that was dropped
    came_ms: float  # when it arrived, since the first arrival
    done_ms: float  # when its mask was there; NaN for a dropped frame
    log_ns: int  # when a recorder on the robot would log the mask


class FastClock:
    """Every frame, one after the other, as fast as it goes: nothing is dropped."""

    name = "fast"
    latency = (
        "Processing time of a frame, from the picture in memory to its mask. Frames are processed one after the other "
        "as fast as it goes; reading, recording and reporting do not count."
    )
    rest = "common branch and agreement"

    def stream(self, engine: Engine, config: StreamConfig) -> Streams:
        return Streams(lambda: StreamSegmenter(engine, config))

    def play(self, frames: Iterator[Frame], stream: Streams, *, confidence: bool) -> Iterator[Played]:
        now_ms = 0.0
        for frame in _warmed(frames, stream, confidence):
            result = _step(stream, frame, confidence)
            came_ms, now_ms = now_ms, now_ms + result.timing.total
            yield Played(frame, result, came_ms, now_ms, frame.time_ns)


class RobotClock:
    """As the node would fare on this machine: frames come at their recorded stamps whether or not it is ready.

    Decoding and segmenting take as long as they are measured to take; one frame waits, and a newer one takes its place.
    A common branch on a thread of its own is done after its measured duration; of one in slices a piece
    is computed after each frame, and holds up the next one if that comes before the piece is done.

    clock: seconds, as for `VirtualTime`.
    """

    name = "robot"
    latency = (
        "From the moment a frame is taken to its mask, in simulated real time: frames come at their recorded stamps, "
        "processing takes as long as it was measured to take, one frame waits, and a newer one takes its place."
    )
    rest = "waiting"

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._time = VirtualTime(clock)

    def stream(self, engine: Engine, config: StreamConfig) -> Streams:
        way = way_of(engine, config)
        worker = None
        if way != "inline":
            worker = (self._slices if way == "slices" else self._thread)(engine, config)
        return Streams(lambda: StreamSegmenter(engine, config, make_worker=worker))

    def _slices(self, engine: Engine, config: StreamConfig) -> MakeWorker:
        plan = SlicePlan(config.slices, config.max_age_ms)
        return lambda branch, on_error: SimulatedSlices(self._time, branch, on_error, plan)

    def _thread(self, engine: Engine, config: StreamConfig) -> MakeWorker:
        # As in the node: key frames but the first get some of the cores.
        beside = CommonBranch(engine.background(threads_of(config)), config)
        return lambda branch, on_error: SimulatedThread(self._time, branch, on_error, beside)

    def play(self, frames: Iterator[Frame], stream: Streams, *, confidence: bool) -> Iterator[Played]:
        inbox: SimulatedInbox[Frame] = SimulatedInbox()
        for frame, came_ms, began_ms in inbox.turns(arrivals(_warmed(frames, stream, confidence))):
            if began_ms is None:
                yield Played(frame, None, came_ms, float("nan"), frame.time_ns)
                continue
            self._time.set(began_ms + frame.decode_ms)
            result = _step(stream, frame, confidence)
            inbox.free_ms = self._time.now_ms
            log_ns = frame.time_ns + round(1e6 * (inbox.free_ms - came_ms))
            yield Played(frame, result, came_ms, inbox.free_ms, log_ns)


def _step(stream: Streams, frame: Frame, confidence: bool) -> Segmentation:
    return stream.step(
        frame.rgb,
        frame.stamp_ns,
        frame_id=frame.frame_id,
        arrival_ns=frame.time_ns,
        confidence=confidence,
        odometry=frame.odometry,
    )


def arrivals(frames: Iterator[Frame]) -> Iterator[tuple[Frame, float]]:
    """Each frame with its time of arrival in milliseconds since the first: the distances of the recorded stamps.

    Where the stamps stand still, and at the first that moves after that (stamps in whole seconds), the distances of the
    times of recording. Where they jump back, the recording goes on after the usual distance between two frames.
    """
    at_ms, step_ms = 0.0, _DEFAULT_STEP_MS
    last: Frame | None = None
    stood = False
    for frame in frames:
        if last is not None:
            moved_ns = frame.stamp_ns - last.stamp_ns
            coarse = moved_ns == 0 or (stood and moved_ns > 0)
            passed_ns = frame.time_ns - last.time_ns if coarse else moved_ns
            if passed_ns > 0:
                step_ms = passed_ns / 1e6
            at_ms += step_ms
            stood = moved_ns == 0
        last = frame
        yield frame, at_ms


def _warmed(frames: Iterator[Frame], stream: Streams, confidence: bool) -> Iterator[Frame]:
    """The frames, after the first has been through a stream of its own: what is done once (compiling, allocating)
    would otherwise be measured as if frames took that long."""
    for index, frame in enumerate(frames):
        if index == 0:
            inline = dataclasses.replace(stream.config, mode="inline")
            with StreamSegmenter(stream.engine, inline) as other:
                other.step(frame.rgb, frame.stamp_ns, confidence=confidence)
            if way_of(stream.engine, stream.config) == "thread":
                engine = stream.engine.background(threads_of(stream.config))
                engine.common(engine.independent(preprocess(frame.rgb, stream.network_size)))
        yield frame


Clock = FastClock | RobotClock


def make_clock(name: str) -> Clock:
    """The clock of that name."""
    return FastClock() if name == "fast" else RobotClock()
