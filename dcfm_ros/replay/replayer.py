"""Runs a job: one input through one stream into one report."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.machine import OthersLoad
from dcfm_ros.measure.table import counted, reasons
from dcfm_ros.media.bag_source import BagSource
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.health import FrameCounts
from dcfm_ros.media.labels import Labels, open_labels
from dcfm_ros.media.mask_writer import MaskWriter
from dcfm_ros.media.source import Frame, Source
from dcfm_ros.model.config import ModelCard, in_groups
from dcfm_ros.model.shipped import weights_path
from dcfm_ros.replay.clocks import Clock, Played, make_clock
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.outputs import BAG, PAGE, prepare
from dcfm_ros.replay.report.page import write_report
from dcfm_ros.replay.report.report import Report, report_of
from dcfm_ros.replay.run_video import RunVideo
from dcfm_ros.replay.sinks import Diagnostics, Sinks
from dcfm_ros.replay.summary import NAN, STEPS, FrameRecord, from_timing, usual_interval_ms
from dcfm_ros.replay.tally import Tally
from dcfm_ros.stream.streams import Streams
from dcfm_ros.stream.trigger_grammar import in_words
from dcfm_ros.stream.workers import way_of

# When a frame arrives, at most one mask is still being made: the newest finished one is among the last two.
_LATEST_MASKS = 2
_WAYS = {
    "inline": "inline: the frame waits",
    "thread": "background: on a thread of its own",
    "slices": "background: in slices, one after each frame",
}


class Replayer:
    """Puts the frames of a source through a stream, measures, and collects what the report must mention."""

    def __init__(
        self,
        job: Job,
        source: Source,
        labels: Labels,
        stream: Streams,
        clock: Clock,
        masks: MaskWriter | None = None,
    ) -> None:
        self._job, self._source, self._labels = job, source, labels
        self._stream, self._clock, self._mask_writer = stream, clock, masks
        self._card = stream.engine.card
        self._tally = Tally(self._card, job.span)
        # When each was done, ms, and the mask; newest last.
        self._masks: deque[tuple[float, np.ndarray]] = deque(maxlen=_LATEST_MASKS)
        self._received = self._processed = self._dropped = self._repeated = 0
        self._interrupted = False
        self._problem = ""
        self.failed: tuple[str, ...] = ()

    def run(self, stop: Callable[[], bool], *, quiet: bool) -> tuple[Report, bool]:
        """Process the frames; returns the report, and whether `stop` ended it. What was written is complete either way.

        Raises DcfmError: no frame could be processed; KeyboardInterrupt: it was stopped before the first frame.
        """
        sinks, self._others = self._sinks(), OthersLoad()
        try:
            self._process(sinks, stop, quiet)
        except DcfmError as error:
            # What has been processed is worth a report.
            self._problem = f"ended after {counted(self._received, 'frame')}: {error}"
        finally:
            sinks.close()
        unread = reasons("unreadable frame", "skipped", self._source.skipped)
        self._tally.label_problems.update(self._labels.unused())
        self.failed = tuple(
            text
            for text in (self._problem, self._source.problem, *unread, *sinks.failed, self._unlabelled())
            if text
        )
        if not self._tally.records:
            if self._interrupted:
                raise KeyboardInterrupt
            why = "; ".join(self._source.skipped) or self._source.problem or "it has no frames"
            raise DcfmError(f"No frame of {self._source.path} could be segmented: {self._problem or why}.")
        return self._report(sinks), self._interrupted

    def _unlabelled(self) -> str:
        """Why nothing was compared with the labels that were given; "" where something was. A run that was cut short may
        not have come to them.
        """
        cut = self._interrupted or self._problem or self._job.frames
        if not self._job.labels or self._tally.labelled or cut:
            return ""
        why = next(iter(self._tally.label_problems), "they belong to no frame")
        return f"no frame could be compared with the labels {self._job.labels}: {why}"

    def _sinks(self) -> Sinks:
        job, source = self._job, self._source
        merge = source.bag if job.merge and isinstance(source, BagSource) else None
        return Sinks(
            self._card,
            BagWriter(job.folder / BAG, job.storage) if job.bag else None,
            RunVideo(job.folder, source.rate, self._card) if job.video else None,
            Diagnostics(self._stream.engine, source, job.budget_ms),
            merge,
            self._mask_writer,
            by_stamp=bool(source.topic),
        )

    def _process(self, sinks: Sinks, stop: Callable[[], bool], quiet: bool) -> None:
        expected, limit = self._source.length, self._job.frames
        total = min(expected, limit) if expected and limit else limit or expected
        frames = self._frames(stop)
        with tqdm(
            total=total, unit="frame", desc="segmenting", dynamic_ncols=True, disable=True if quiet else None
        ) as bar:
            for played in self._clock.play(frames, self._stream, confidence=self._job.with_confidence):
                self._add(played)
                sinks.write(played, self._counts())
                bar.update()

    def _frames(self, stop: Callable[[], bool]) -> Iterator[Frame]:
        """The source's frames without those that a camera sent twice, which the node drops, too."""
        last: Frame | None = None
        for frame in self._source:
            if stop():
                self._interrupted = True
                return
            if last is not None and frame.repeats(last):
                self._repeated += 1
                continue
            last = frame
            self._received += 1
            yield frame
            if self._received == self._job.frames:
                return

    def _add(self, played: Played) -> None:
        frame, result = played.frame, played.result
        label = self._label(frame)
        if label is not None and self._clock.name == "robot":
            known = [mask for done_ms, mask in self._masks if done_ms <= played.came_ms]
            if known:
                self._tally.add_latest(known[-1], label)
        if result is None:
            self._dropped += 1
            self._tally.lose(FrameRecord(frame.stamp_ns, sent_ms=played.came_ms), frame.frame_id)
            return
        self._processed += 1
        timing = result.timing
        record = FrameRecord(
            frame.stamp_ns,
            sent_ms=played.came_ms,
            received_ms=played.done_ms,
            **from_timing(result),
            key_stamp_ns=result.key_stamp_ns,
            steps={"convert": frame.decode_ms if self._clock.name == "robot" else NAN}
            | {step: getattr(timing, step) for step in STEPS if hasattr(timing, step)},
            common_ms=timing.common,
            confidence=float(result.confidence.mean()) / 255 if result.confidence is not None else NAN,
        )
        self._tally.add(record, frame.rgb, result.mask, label, frame_id=frame.frame_id)
        self._masks.append((played.done_ms, result.mask))

    def _label(self, frame: Frame) -> np.ndarray | None:
        try:
            label = self._labels.of(frame)
        except DcfmError as error:
            self._tally.label_problems[str(error)] += 1
            return None
        return label if label is None or self._job.grouped_labels else in_groups(label, self._card)

    def _counts(self) -> FrameCounts:
        failed = sum(self._source.skipped.values())
        received = self._received + self._repeated + failed
        return FrameCounts(received, self._processed, self._dropped + self._repeated, failed)

    def _files(self, sinks: Sinks) -> dict[str, str]:
        files = sinks.video.files if sinks.video else {}
        if sinks.bag is not None:
            what = "masks, confidence, overlay, timing and diagnostics with the input's stamps"
            merged = ", beside all messages of the input" if self._job.merge else ""
            files[BAG] = what + merged
        return files

    def _notes(self, left_out: Counter[str]) -> list[str]:
        notes = []
        if self._interrupted:
            notes.append(f"interrupted by Ctrl-C after {counted(len(self._tally.records), 'frame')}")
        notes += [text for text in (*self.failed, self._labels.remark) if text]
        if self._repeated:
            notes.append(
                f"{counted(self._repeated, 'repeated frame')} left out (same stamp as the one before)"
            )
        return notes + reasons("message", "of the input not in the output", left_out)

    def _report(self, sinks: Sinks) -> Report:
        source, records = self._source, self._tally.records
        return report_of(
            self._tally,
            title="replay" if self._clock.name == "fast" else "replay as on the robot",
            subject=f"{source.path} ({source.kind}{', ' + source.topic if source.topic else ''}), "
            f"segmented frame by frame",
            latency_meaning=self._clock.latency,
            rest_meaning=self._clock.rest,
            can_lose=self._clock.name == "robot",
            interval_ms=usual_interval_ms([record.stamp_ns / 1e6 for record in records]),
            notes=self._notes(sinks.left_out),
            settings=self._settings(),
            others_cores=self._others.cores(),
            files=self._files(sinks),
            video=sinks.video,
        )

    def _settings(self) -> dict[str, str]:
        engine = self._stream.engine
        width, height = self._stream.network_size
        clocks = {"fast": "every frame, as fast as possible", "robot": "simulated real time, as on the robot"}
        return {
            "Input": str(self._source.path),
            "Labels": self._labels.name or "none",
            "Clock": clocks[self._clock.name],
            "Key frames": _WAYS[way_of(engine, self._stream.config)],
            "Refresh": in_words(self._stream.config),
            "Network input": f"{width}×{height}",
            "Weights": self._job.weights_in_words,
            "Engine": f"{engine.name}, {engine.device}, {engine.precision}",
        }


@dataclass(frozen=True)
class Done:
    """A finished replay."""

    report: Report
    page: Path  # the report's
    interrupted: bool  # it was ended early
    failed: tuple[str, ...] = ()  # what was asked for and is not there, or not whole: why


def _mask_writer(job: Job, card: ModelCard) -> MaskWriter | None:
    if job.masks is None:
        return None
    return MaskWriter(job.masks, card.classes, card.colors, force=job.force, read=job.read)


def check_input(job: Job) -> None:
    """Refuse what cannot be played before anything is started or an earlier report is replaced.

    Raises DcfmError: input, topic or labels are not there, or cannot be read.
    """
    with job.source() as source:
        open_labels(source, job.labels)


def run_job(job: Job, stop: Callable[[], bool], *, quiet: bool = False) -> Done:
    """Replay, and write the report.

    stop: asked before every frame; once true, the report covers what there is. quiet: without a progress bar.
    Raises DcfmError: nothing could be segmented, or the output folder is not empty.
    """
    with job.source() as source:
        if source.kind == "camera":
            raise DcfmError(
                f"{source.path} is a camera, which never ends; `dcfm demo {source.path}` plays it live."
            )
        if job.merge and not source.kind.startswith("rosbag"):
            raise DcfmError(
                f"--merge needs a bag; {source.path} is not one, so there are no messages to put beside the masks."
            )
        engine = create_engine(weights_path(job.weights), job.engine)
        labels = open_labels(source, job.labels, engine.card.member_colors or engine.card.colors)
        prepare(job.folder, force=job.force, read=job.read)
        masks = _mask_writer(job, engine.card)
        clock = make_clock(job.clock)
        with clock.stream(engine, job.stream) as stream:
            replayer = Replayer(job, source, labels, stream, clock, masks)
            report, interrupted = replayer.run(stop, quiet=quiet)
    page, failed = job.folder / PAGE, replayer.failed
    try:
        write_report(report, job.folder)
    except OSError as error:  # what was measured is told all the same
        failed = (*failed, f"the report could not be written: '{error.filename}': {error.strerror}")
    return Done(report, page, interrupted, failed)
