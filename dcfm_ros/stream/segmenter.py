"""What happens to a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.engines.malloc import give_freed_memory_back
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.shipped import weights_path
from dcfm_ros.stream.alignment import create_aligner
from dcfm_ros.stream.common_feature import CommonBranch, CommonFeature, KeyFrame
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.preprocess import check_frame, preprocess
from dcfm_ros.stream.segmentation import NAN, Pose, Segmentation, Stopwatch, Timing
from dcfm_ros.stream.timeline import Moment, Timeline
from dcfm_ros.stream.triggers import Observation, Triggers
from dcfm_ros.stream.worker import MakeWorker, OnError, describe
from dcfm_ros.stream.workers import create_worker


@dataclass(frozen=True)
class _Own:
    """The last frame whose independent feature was computed: its place in the stream, and what came of it."""

    index: int
    common: CommonFeature
    logits: Any


class StreamSegmenter:
    """Segments the frames of one camera.

        with StreamSegmenter("model.safetensors") as stream:
            for rgb, stamp_ns in camera:
                mask = stream.step(rgb, stamp_ns).mask

    model_or_engine: the path of a weights file or a DCFM module, which run on the fastest engine that is installed (its
    log line names it); or an engine of `create_engine`, which several streams may share: each has its own triggers,
    worker and state. None: the weights that come with the package.
    on_error: called with each exception of the common branch, on the thread where it happened; the stream goes on with
    the common feature it has.
    make_worker: what runs the common branch instead of the worker of `config.mode` (replay has one that lives in
    simulated time).
    `step` is for one thread; the other methods are for any.
    """

    def __init__(
        self,
        model_or_engine: DCFM | Engine | str | Path | None = None,
        config: StreamConfig | None = None,
        *,
        on_error: OnError | None = None,
        make_worker: MakeWorker | None = None,
    ) -> None:
        model = weights_path(None) if model_or_engine is None else model_or_engine
        self.engine = create_engine(model) if isinstance(model, (DCFM, str, Path)) else model
        self.config = config or StreamConfig()
        self.network_size = self.config.network_size(self.engine.card.input_size)
        # What refuses a configuration comes before what starts a thread.
        self._aligner = create_aligner(self.config, self.engine.card, self.network_size)
        self.engine.prepare(self.network_size)  # what is built once is not built while a frame waits
        self._worker = (
            make_worker(CommonBranch(self.engine, self.config), on_error)
            if make_worker
            else create_worker(self.engine, self.config, on_error)
        )
        self._triggers = Triggers(self.config)
        self._timeline = Timeline(self.config.max_age_ms)
        self._restart = "first"  # why a frame is refreshed that has no common feature to borrow
        self._used = -1  # index of the key frame whose common feature the last frame used
        self._own: _Own | None = None
        self._last: Segmentation | None = None
        self._seen: Image | None = None  # what the network saw of the last frame
        self._closed = False

    def step(
        self,
        rgb: Image,
        stamp_ns: int | None,
        *,
        arrival_ns: int | None = None,
        odometry: Pose | None = None,
        confidence: bool = False,
    ) -> Segmentation:
        """Segment the next frame.

        In background mode it does not wait for any key frame, unless there is no common feature yet: at the first
        frame, and at the first one after a reset.

        rgb: uint8 H×W×3. stamp_ns: message time; None: there is none, and the time of arrival counts. The same picture with
        the same stamp returns the same value again; another picture with it is a frame of its own, and time goes on as
        frames arrive. A stamp that is earlier than any gap the last frames left or later by far more than `max_age_ms`, and
        another image size reset the stream. arrival_ns: when it came, on any clock that goes on; None: now. odometry: where
        the camera is; ignored unless all of it is finite. confidence: whether that is wanted beside the mask.
        Raises DcfmError for anything but such an image, in a closed stream, and where there is no common feature
        because computing it failed.
        """
        if self._closed:
            raise DcfmError("this stream is closed; make a new StreamSegmenter")
        size = check_frame(rgb)
        last = self._last
        if last and last.answers(stamp_ns, size, confidence=confidence) and self._saw(rgb):
            return last
        moment = self._advance(stamp_ns, size, arrival_ns)
        pose = odometry if odometry and odometry.finite else None
        self._last = self._segment(rgb, moment, pose, confidence)
        return self._last

    def _segment(self, rgb: Image, moment: Moment, pose: Pose | None, confidence: bool) -> Segmentation:
        watch = Stopwatch()
        with self._worker.frame():
            # 1. Preprocess: to the size the network wants. Follow the things in it since the last frame.
            small = preprocess(rgb, self.network_size)
            self._seen = small.copy() if small is rgb else small  # the caller's may be written to
            preprocess_ms = watch.lap()
            self._aligner.see(small)
            align_ms = watch.lap()

            # 2. Trigger: should the common feature be refreshed?
            observation = Observation(moment.index, moment.time_ns, self._aligner.motion, pose)
            trigger = self._triggers.cause(observation)
            trigger = self._restart if self._worker.newest is None else moment.request or trigger
            preprocess_ms += watch.lap()

            independent_ms = fuse_ms = 0.0
            moved = None if trigger else self._moved(moment)
            if moved is not None:
                # 3-5. A frame between those that have an independent feature: the logits of the last one move along.
                common, logits = moved
                align_ms += watch.lap()
            else:
                # 3. Independent feature, of every frame or every `independent_interval`-th. If asked for, the worker goes
                #    on from it to the common feature; a request that still waits may as well take this newer frame.
                independent = self.engine.independent(small)
                independent_ms = watch.lap()
                if trigger or self._worker.waiting:
                    self._ask(moment, observation, independent)
                common = self._worker.current()
                watch.lap()

                # 4. Align the newest common feature that is finished: to where its things are now.
                feature = self._aligned(common)
                align_ms += watch.lap()

                # 5. Fuse and classify.
                logits = self.engine.logits(feature, independent)
                fuse_ms = watch.lap()
                self._remember(moment, common, logits)

            # 6. Label map, at the size asked for.
            mask_size = self.config.size_of_mask(moment.size, self.network_size)
            mask, probability = self.engine.label_map(logits, mask_size, confidence=confidence)
            label_map_ms = watch.lap()
        timing = Timing(
            preprocess_ms, align_ms, independent_ms, fuse_ms, label_map_ms, common.common_ms, watch.total()
        )
        return self._segmentation(moment, trigger, common, mask, probability, timing, moved=moved is not None)

    def request_refresh(self, reason: str = "service") -> None:
        """Refresh the common feature at the next frame; its `trigger` will be `reason`."""
        self._timeline.request_refresh(reason)

    def reset(self, reason: str = "", *, log: bool = True) -> None:
        """Forget everything before the next frame. reason: for the log, if that is to tell of it."""
        self._timeline.reset(reason, log)

    def close(self) -> None:
        """End the stream within a second, even in the middle of a common branch. A stream may be closed twice."""
        self._closed = True
        self._worker.close()
        give_freed_memory_back()

    def __enter__(self) -> StreamSegmenter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def _aligned(self, common: CommonFeature) -> Any:
        """The engine's handle of a common feature whose things lie where they are in this frame."""
        displacement = self._aligner.displacement(common.index)
        if displacement is None:
            return common.feature
        return self.engine.align(common.feature, displacement)

    def _moved(self, moment: Moment) -> tuple[CommonFeature, Any] | None:
        """The last logits that were computed, moved to where their things are now, and the common feature that they are of.

        None where this frame is the next to have its own, and where no trusted flow leads back to them.
        """
        own = self._own
        if own is None or moment.index - own.index >= self.config.independent_interval:
            return None
        displacement = self._aligner.since_mark()
        return None if displacement is None else (own.common, self.engine.move(own.logits, displacement))

    def _remember(self, moment: Moment, common: CommonFeature, logits: Any) -> None:
        """Keep what the frames up to the next one with an independent feature move along."""
        if self.config.independent_interval > 1:
            self._own = _Own(moment.index, common, logits)
            self._aligner.mark()

    def _saw(self, rgb: Image) -> bool:
        """Whether the network would see again what it saw of the last frame."""
        return np.array_equal(preprocess(rgb, self.network_size), self._seen)  # type: ignore[arg-type]

    def _advance(self, stamp_ns: int | None, size: Size, arrival_ns: int | None) -> Moment:
        """The frame's place in the stream, which begins again where that breaks."""
        moment = self._timeline.advance(stamp_ns, size, arrival_ns)
        if moment.reset:
            self._forget()
        return moment

    def _ask(self, moment: Moment, observation: Observation, independent: Any) -> None:
        """Have the common feature of this frame computed."""
        key = KeyFrame(moment.index, moment.stamp_ns, moment.time_ns, self.network_size, independent)
        self._aligner.begin(moment.index, replaced=self._worker.submit(key))
        self._triggers.refreshed(observation)

    def _segmentation(
        self,
        moment: Moment,
        trigger: str,
        common: CommonFeature,
        mask: Mask,
        probability: Mask | None,
        timing: Timing,
        *,
        moved: bool,
    ) -> Segmentation:
        """What became of the frame. The first one that uses a new common feature tells what that changed."""
        is_new, self._used = common.index != self._used, common.index
        if is_new:
            self._triggers.measured(common.agreement, common.elapsed_ms)
        age_ms = (moment.time_ns - common.time_ns) / 1e6
        return Segmentation(
            mask=mask,
            confidence=probability,
            stamp_ns=moment.stamp_ns,
            size=moment.size,
            key_frame=common.index == moment.index,
            key_stamp_ns=common.stamp_ns,
            trigger=trigger,
            age_ms=age_ms,
            age_frames=moment.index - common.index,
            stale=age_ms > self.config.max_age_ms,
            moved=moved,
            motion=self._aligner.motion,
            agreement=common.agreement if is_new else NAN,
            errors=self._worker.errors,
            error=describe(self._worker.error) if self._worker.error else "",
            timing=timing,
        )

    def _forget(self) -> None:
        self._worker.forget()
        self._triggers = Triggers(self.config)
        self._aligner = create_aligner(self.config, self.engine.card, self.network_size)
        self._restart = "reset"
        self._own = self._last = None
