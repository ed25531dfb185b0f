"""What is written beside the report: a bag, with or without the input's messages, and a video."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.media import messages
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.bags import Bag, RawMessage
from dcfm_ros.media.diagnostics import CameraDiagnostics, Input, Limits, Status, engine_status
from dcfm_ros.media.health import FrameCounts, Health
from dcfm_ros.media.mask_writer import MaskWriter
from dcfm_ros.media.source import Source
from dcfm_ros.model.config import ModelCard
from dcfm_ros.replay.clocks import Played
from dcfm_ros.replay.run_video import RunVideo
from dcfm_ros.stream.overlay import draw_overlay
from dcfm_ros.stream.segmentation import Segmentation

MASK, CONFIDENCE, OVERLAY = (f"/segmentation/{name}" for name in ("mask", "confidence", "overlay/compressed"))
TIMING, DIAGNOSTICS = "/dcfm/timing", "/diagnostics"
_OURS = (MASK, CONFIDENCE, OVERLAY, TIMING)


class InputCopy:
    """Copies all messages of a bag into another one, in step with a run."""

    def __init__(self, bag: Bag, writer: BagWriter) -> None:
        self._messages: Iterator[RawMessage] = bag.raw()
        self._next: RawMessage | None = None
        self._writer = writer
        self.left_out: Counter[str] = Counter()
        self._advance()

    def up_to(self, time_ns: int | None) -> None:
        """Copy what was logged until then; None: all that is left."""
        while self._next is not None and (time_ns is None or self._next.time_ns <= time_ns):
            self._copy(self._next)
            self._advance()

    def _advance(self) -> None:
        try:
            self._next = next(self._messages, None)
        except DcfmError as error:
            self._next = None
            self.left_out[str(error)] += 1

    def _copy(self, raw: RawMessage) -> None:
        if raw.topic in _OURS:
            self.left_out[f"{raw.topic} is a topic of the output"] += 1
            return
        if raw.data is None:
            self.left_out[f"{raw.topic} is {raw.kind}, which is an unknown type"] += 1
            return
        try:
            self._writer.add_topic(raw.topic, raw.kind, raw.definition, raw.type_hash, raw.qos)
        except DcfmError as error:
            self.left_out[str(error)] += 1
            return
        self._writer.write_raw(raw.topic, raw.kind, raw.time_ns, raw.data)


class Sinks:
    """A bag, a video and a folder of masks, or some of them, or nothing.

    merge: the input's bag, where its messages are to be in the output, too. by_stamp: masks are called by their
    frames' stamps, not by their names.
    failed: why outputs are missing or incomplete.
    """

    def __init__(
        self,
        card: ModelCard,
        bag: BagWriter | None,
        video: RunVideo | None,
        diagnostics: Diagnostics,
        merge: Bag | None = None,
        masks: MaskWriter | None = None,
        *,
        by_stamp: bool = False,
    ) -> None:
        self.bag, self.video, self.masks = bag, video, masks
        self._by_stamp = by_stamp
        self.failed: list[str] = []
        self._index = -1
        self._card = card
        self._diagnostics = diagnostics
        self._copy = InputCopy(merge, bag) if merge is not None and bag is not None else None

    def write(self, played: Played, counts: FrameCounts) -> None:
        """Write a frame with its mask; a dropped one shows only in the diagnostics."""
        result = played.result
        self._index += 1
        if result is None:
            return
        masks = self.masks
        # As `media.labels` finds a frame's label: by its image's name, its number in a video, its stamp in a bag.
        name = str(played.frame.stamp_ns) if self._by_stamp else played.frame.name
        if masks is not None and not self._works(masks, lambda: masks.write(name, result.mask)):
            self.masks = None
        if self.bag is None and self.video is None:
            return
        rgb = played.frame.rgb
        overlay = draw_overlay(rgb, result.mask, self._card)
        video, bag = self.video, self.bag
        if video is not None and not self._works(
            video, lambda: video.write(self._index, rgb, result.mask, overlay)
        ):
            self.video = None
        if bag is not None and not self._works(
            bag, lambda: self._write_bag(bag, played, result, overlay, counts)
        ):
            self.bag = None

    def _works(self, sink: BagWriter | RunVideo | MaskWriter, write: Callable[[], None]) -> bool:
        """Whether `write` succeeds. An output that fails is told and closed; it ends neither the others nor the run."""
        try:
            write()
        except (DcfmError, OSError, cv2.error) as error:
            self.failed.append(str(error))
            with contextlib.suppress(DcfmError, OSError, cv2.error):
                sink.close()
            return False
        return True

    def _write_bag(
        self, bag: BagWriter, played: Played, result: Segmentation, overlay: np.ndarray, counts: FrameCounts
    ) -> None:
        if self._copy is not None:
            self._copy.up_to(played.log_ns)
        frame = played.frame
        stamp, name, time_ns = frame.stamp_ns, frame.frame_id, played.log_ns
        bag.write(MASK, messages.IMAGE, time_ns, messages.picture(result.mask, stamp, name))
        if result.confidence is not None:
            bag.write(CONFIDENCE, messages.IMAGE, time_ns, messages.picture(result.confidence, stamp, name))
        bag.write(OVERLAY, messages.COMPRESSED_IMAGE, time_ns, messages.jpeg(overlay, stamp, name))
        latency_ms = played.done_ms - played.came_ms
        timing = messages.frame_timing(
            result, name, counts, convert_ms=frame.decode_ms, latency_ms=latency_ms
        )
        bag.write(TIMING, messages.FRAME_TIMING, time_ns, timing)
        statuses = self._diagnostics.due(result, counts, total_ms=timing.total_ms, latency_ms=latency_ms)
        if statuses:
            bag.write(DIAGNOSTICS, messages.DIAGNOSTICS, time_ns, messages.diagnostics(stamp, statuses))

    @property
    def left_out(self) -> Counter[str]:
        """Messages of the input that are not in the output: reason -> count."""
        return self._copy.left_out if self._copy is not None else Counter()

    def close(self) -> None:
        """Finish the files; they are complete afterwards, but for those that `failed` tells."""
        if self.bag is not None:
            if self._copy is not None:
                copy = self._copy
                self._works(self.bag, lambda: copy.up_to(None))
            self._works(self.bag, self.bag.close)
        if self.video is not None:
            self._works(self.video, self.video.close)


_PERIOD_S = 1.0
_BUDGET_MS = 200.0
_PREFIX = "dcfm: "


class Diagnostics:
    """Statuses under the node's names: input, processing, common feature, engine.

    budget_ms: frames that take longer on average are a warning; None: 200.
    """

    def __init__(self, engine: Engine, source: Source, budget_ms: float | None) -> None:
        self._engine, self._source, self._limits = engine, source, Limits(budget_ms or _BUDGET_MS)
        self._judge = CameraDiagnostics(_PREFIX, source.topic or str(source.path))
        self._now_s = 0.0
        self._health = Health(clock=lambda: self._now_s)
        self._told_s: float | None = None
        self._skipped: Counter[str] = Counter()

    def due(
        self, result: Segmentation, counts: FrameCounts, *, total_ms: float, latency_ms: float
    ) -> list[Status]:
        """The statuses, if a second has passed since the last ones (or time has jumped back); else nothing."""
        self._now_s = result.stamp_ns / 1e9
        if self._told_s is None:
            self._health.started()
        for reason, number in (self._source.skipped - self._skipped).items():
            self._health.bad_image(reason, number)
        self._skipped = self._source.skipped.copy()
        self._health.processed(result, total_ms, latency_ms)
        self._health.counted(counts)
        if self._told_s is not None and 0 <= self._now_s - self._told_s < _PERIOD_S:
            return []
        self._told_s = self._now_s
        statuses = self._judge.statuses(self._health.report(running=True), self._limits, Input())
        return [*statuses, engine_status(_PREFIX, self._engine)]
