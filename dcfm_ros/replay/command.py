"""`dcfm replay`: how good and how fast would this be on my robot's data? A bag or a video in, a report out, no ROS.

Every frame goes through the same `StreamSegmenter` as in the node, in inline mode, one after the other as fast as it
goes: two runs give the same masks, bit for bit.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dcfm_ros.engines import EngineConfig, create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.model import ModelCard, default_weights
from dcfm_ros.replay import machine, messages
from dcfm_ros.replay.bag_writer import BagWriter
from dcfm_ros.replay.labels import Labels, NoLabels, open_labels
from dcfm_ros.replay.options import add_options, read_options
from dcfm_ros.replay.outputs import Outputs, prepare
from dcfm_ros.replay.record import NAN, FrameRecord
from dcfm_ros.replay.report import Report, write_report
from dcfm_ros.replay.run import Run
from dcfm_ros.replay.sources import Frame, Source, open_source
from dcfm_ros.replay.summary import summarise
from dcfm_ros.replay.text import summary_text
from dcfm_ros.replay.video_writer import VideoWriter
from dcfm_ros.stream import Segmentation, StreamConfig, StreamSegmenter
from dcfm_ros.stream.overlay import draw_overlay

MASK, CONFIDENCE, OVERLAY, TIMING = (
    "segmentation/mask",
    "segmentation/confidence",
    "segmentation/overlay/compressed",
    "dcfm/timing",
)
_LATENCY = (
    "Processing time of a frame, from the picture in memory to its mask. Frames are processed one after the other as "
    "fast as it goes; reading, recording and reporting do not count."
)
# Inline, because only then the outcome does not depend on how fast this machine is.
_STREAM = {"mode": "inline"}
_NO_OPTION = ("mode", "phase", "odometry_distance_m", "odometry_angle_deg")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("input", help="rosbag2 (folder, .mcap, .db3), ROS 1 .bag, video, or folder of images")
    parser.add_argument(
        "-o", "--report", type=Path, required=True, metavar="FOLDER", help="where to write the report"
    )
    parser.add_argument("--force", action="store_true", help="replace a former run in that folder")
    parser.add_argument("--topic", help="image topic of a bag with several")
    parser.add_argument(
        "--labels", help="ground truth: a label topic of the bag, or a folder of label images"
    )
    parser.add_argument("--frames", type=int, help="stop after this many frames")
    parser.add_argument("--rate", type=float, help="frames per second of a folder of images (default: 15)")
    parser.add_argument(
        "--weights", type=Path, help="weights file (default: the model that comes with the package)"
    )
    parser.add_argument("--no-video", action="store_true", help="do not write the overlay video")
    parser.add_argument("--no-bag", action="store_true", help="do not write the bag of masks")
    add_options(parser.add_argument_group("stream"), StreamConfig, _STREAM, _NO_OPTION)  # type: ignore[arg-type]
    add_options(parser.add_argument_group("engine"), EngineConfig, {})  # type: ignore[arg-type]


def run(args: argparse.Namespace) -> int:
    """Replay and report. Returns 0, or 130 after Ctrl-C: the report then covers what was processed."""
    if args.frames is not None and args.frames < 1:
        raise DcfmError(f"--frames is 1 or more, not {args.frames}.")
    stream_config = read_options(args, StreamConfig, **_STREAM)
    engine_config = read_options(args, EngineConfig)
    with open_source(args.input, args.topic, rate=args.rate) as source:
        if source.kind == "camera":
            raise DcfmError(
                f"{source.path} is a camera and never ends; `dcfm demo {source.path}` plays it live."
            )
        labels = open_labels(source, args.labels)
        engine = create_engine(args.weights or default_weights(), engine_config)
        outputs = prepare(args.report, force=args.force)
        with StreamSegmenter(engine, stream_config) as stream:
            replay = Replay(source, labels, stream, outputs, args)
            interrupted = replay.run()
            report = replay.report()
    print(summary_text(report))
    print(f"\n  open {write_report(report, outputs.folder)}")
    return 130 if interrupted else 0


@dataclass
class _Sinks:
    """Where masks go beside the report."""

    bag: BagWriter | None
    video: VideoWriter | None

    def write(self, frame: Frame, result: Segmentation, card: ModelCard, done: int) -> None:
        if self.bag is None and self.video is None:
            return
        overlay = draw_overlay(frame.rgb, result.mask, card)
        if self.video is not None:
            self.video.write(overlay)
        if self.bag is not None:
            self._write_messages(self.bag, frame, result, overlay, done)

    def _write_messages(
        self, bag: BagWriter, frame: Frame, result: Segmentation, overlay: np.ndarray, done: int
    ) -> None:
        stamp, name = frame.stamp_ns, frame.frame_id
        bag.write(MASK, messages.IMAGE, frame.time_ns, messages.mono8(result.mask, stamp, name))
        if result.confidence is not None:
            bag.write(
                CONFIDENCE, messages.IMAGE, frame.time_ns, messages.mono8(result.confidence, stamp, name)
            )
        bag.write(OVERLAY, messages.COMPRESSED_IMAGE, frame.time_ns, messages.jpeg(overlay, stamp, name))
        bag.write(TIMING, messages.FRAME_TIMING, frame.time_ns, messages.frame_timing(result, name, done))

    def close(self) -> None:
        for sink in (self.bag, self.video):
            if sink is not None:
                sink.close()


class Replay:
    """One input through one stream into one report."""

    def __init__(
        self,
        source: Source,
        labels: Labels,
        stream: StreamSegmenter,
        outputs: Outputs,
        args: argparse.Namespace,
    ) -> None:
        self._source, self._labels, self._stream, self._outputs = source, labels, stream, outputs
        self._card = stream.engine.card
        self._limit = args.frames
        self._want_bag, self._want_video = not args.no_bag, not args.no_video
        self._run = Run(self._card)
        self._elapsed_ms = 0.0
        self._notes: list[str] = []
        self._files: dict[str, str] = {}

    def run(self) -> bool:
        """Process the frames; whether Ctrl-C ended it. What was written is complete either way.

        Raises:
            DcfmError: no frame could be processed.
        """
        sinks = _Sinks(
            BagWriter(self._outputs.bag) if self._want_bag else None,
            VideoWriter(self._outputs.video, self._source.rate or 15.0) if self._want_video else None,
        )
        interrupted = False
        try:
            self._process(sinks)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sinks.close()
        self._tell(interrupted, sinks)
        return interrupted

    def _process(self, sinks: _Sinks) -> None:
        expected = self._source.length
        total = min(expected, self._limit) if expected and self._limit else self._limit or expected
        with tqdm(total=total, unit="frame", desc="segmenting", dynamic_ncols=True, disable=None) as bar:
            for frame in self._source:
                result = self._stream.step(frame.rgb, frame.stamp_ns, confidence=True)
                self._add(frame, result)
                sinks.write(frame, result, self._card, len(self._run.records))
                bar.update()
                if len(self._run.records) == self._limit:
                    break

    def _add(self, frame: Frame, result: Segmentation) -> None:
        timing = result.timing
        record = FrameRecord(
            frame.stamp_ns,
            sent_ms=self._elapsed_ms,
            received_ms=self._elapsed_ms + timing.total,
            key_frame=result.key_frame or bool(result.trigger),
            trigger=result.trigger,
            key_stamp_ns=result.key_stamp_ns,
            age_ms=result.age_ms,
            age_frames=result.age_frames,
            motion=result.motion,
            agreement=result.agreement,
            steps={
                "preprocess": timing.preprocess,
                "independent": timing.independent,
                "fuse": timing.fuse,
                "label_map": timing.label_map,
            },
            common_ms=timing.common,
            confidence=float(result.confidence.mean()) / 255 if result.confidence is not None else NAN,
        )
        self._elapsed_ms += timing.total
        self._run.add(record, frame.rgb, result.mask, self._labels.of(frame))

    def _tell(self, interrupted: bool, sinks: _Sinks) -> None:
        if not self._run.records:
            if interrupted:
                raise KeyboardInterrupt
            reasons = "; ".join(self._source.skipped) or self._source.problem or "it has no frames"
            raise DcfmError(f"No frame of {self._source.path} could be segmented: {reasons}.")
        if interrupted:
            self._notes.append(f"interrupted by Ctrl-C after {len(self._run.records)} frames")
        if self._source.problem:
            self._notes.append(self._source.problem)
        self._notes += [
            f"{count} frames could not be read: {why}" for why, count in self._source.skipped.items()
        ]
        self._notes += [
            f"{count} labels were not used: {why}" for why, count in self._run.label_problems.items()
        ]
        if sinks.video is not None and sinks.video.path is not None:
            self._files[sinks.video.path.name] = "every frame with its mask as a video"
        if sinks.bag is not None:
            self._files[self._outputs.bag.name] = (
                "masks, confidence, overlay and timing with the input's stamps"
            )

    def report(self) -> Report:
        """The report of what has been processed."""
        records, engine, config = self._run.records, self._stream.engine, self._stream.config
        width, height = self._stream.network_size
        facts = machine.describe()
        source = self._source
        return Report(
            title="replay",
            subject=f"{source.path} ({source.kind}{', ' + source.topic if source.topic else ''}), "
            f"segmented frame by frame on {facts['Processor']}.",
            latency_meaning=_LATENCY,
            classes=self._card.classes,
            colors=self._card.colors,
            summary=summarise(records),
            records=records,
            pictures=self._run.pictures,
            confusion=self._run.confusion,
            consistency_windows=self._run.video_consistency(),
            labelled=self._run.labelled,
            interval_ms=_interval_ms(records),
            notes=tuple(self._notes),
            settings={
                "Input": str(source.path),
                "Labels": "none" if isinstance(self._labels, NoLabels) else self._labels.name,
                "Model": self._card.name,
                "Licence of the weights": self._card.licence,
                "Network input": f"{width}×{height}",
                "Engine": f"{engine.name}, {engine.device}, {engine.precision}",
                "Refresh": _triggers(config),
            },
            machine=facts,
            files=self._files,
        )


def _interval_ms(records: list[FrameRecord]) -> float | None:
    """The usual time between two frames as recorded."""
    stamps = np.asarray([record.stamp_ns for record in records], float)
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    return float(np.median(steps)) / 1e6 if steps.size else None


def _triggers(config: StreamConfig) -> str:
    on = []
    if config.key_interval:
        on.append(f"every {config.key_interval} frames")
    if config.key_period_ms:
        on.append(f"every {config.key_period_ms:g} ms")
    if config.motion_threshold:
        on.append(f"motion above {config.motion_threshold:g}")
    if config.disagreement:
        on.append(f"disagreement above {config.disagreement:g}")
    return ", ".join([*on, f"at the latest after {config.max_age_ms:g} ms"])
