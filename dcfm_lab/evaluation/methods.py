"""The ways to label a video that are compared: small classes with the same `step`, made by one factory per
video.

Key frames of the fixed schedules are frame 0, which any stream starts with, and every K-th frame from
`offset` on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dcfm_lab.evaluation.config import BIDIRECTIONAL, CAUSAL, COPIED, PUBLISHED, MethodSpec
from dcfm_lab.evaluation.scene import Scene
from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF


class Method(Protocol):
    """Labels one video, frame by frame."""

    def step(self, scene: Scene) -> tuple[Mask, bool]:
        """The mask of the scene's current frame, uint8 H×W, and whether it was a key frame."""


def build_method(spec: MethodSpec, offset: int, scene: Scene) -> Method:
    """A fresh method for the scene's video. offset: of the key frames, 0 ... key_interval-1."""
    if spec.method in (CAUSAL, PUBLISHED):
        return Causal(spec, offset, scene)
    # A video too short for the offset has its key frame where any stream has its first.
    keys = KeyFrames(spec.key_interval, offset if offset < len(scene.video) else 0)
    if spec.method == BIDIRECTIONAL:
        return Bidirectional(keys)
    return Carried(keys, spec.method)


@dataclass(frozen=True)
class KeyFrames:
    """The fixed schedule: frames offset, offset + interval, ..."""

    interval: int
    offset: int

    def last(self, index: int) -> int | None:
        """The key frame at or before `index`."""
        if index < self.offset:
            return None
        return index - (index - self.offset) % self.interval

    def next(self, index: int, length: int) -> int | None:
        """The key frame after `index` in a video of `length` frames."""
        last = self.last(index)
        following = self.offset if last is None else last + self.interval
        return following if following < length else None


class Causal:
    """What a robot gets: the stream itself, in inline mode."""

    def __init__(self, spec: MethodSpec, offset: int, scene: Scene) -> None:
        self.offset = offset
        config = inline_config(spec, scene.network_size, scene.mask_size)
        self.stream = StreamSegmenter(scene.engine, config)

    def step(self, scene: Scene) -> tuple[Mask, bool]:
        if scene.index == self.offset > 0:
            self.stream.request_refresh()
        frame = scene.frame
        segmentation = self.stream.step(frame.rgb, frame.stamp_ns)
        return segmentation.mask, segmentation.key_frame


class Bidirectional:
    """What the paper reports: a frame between two key frames adds the upsampled logits that it gets from each.

    It looks up to K - 1 frames ahead, which no live camera can. Before the first and after the last key frame
    there is one side only.
    """

    def __init__(self, keys: KeyFrames) -> None:
        self.keys = keys

    def step(self, scene: Scene) -> tuple[Mask, bool]:
        last, following = self.keys.last(scene.index), self.keys.next(scene.index, len(scene.video))
        if last == scene.index:
            return scene.mask_from(last), True
        return scene.mask_from(*(key for key in (last, following) if key is not None)), False


class Carried:
    """A baseline: the last key frame's mask, copied, or moved along the optical flow."""

    def __init__(self, keys: KeyFrames, method: str) -> None:
        self.keys = keys
        self.method = method
        self.mask: Mask | None = None

    def step(self, scene: Scene) -> tuple[Mask, bool]:
        if self.mask is None or self.keys.last(scene.index) == scene.index:
            self.mask = scene.mask_from(scene.index)
            return self.mask, True
        if self.method != COPIED:
            self.mask = scene.moved(self.mask, self.method)
        return self.mask, False


def inline_config(spec: MethodSpec, network_size: Size, mask_size: Size) -> StreamConfig:
    """An inline stream with exactly the triggers of `spec`; sizes are (width, height)."""
    fields = OFF | {"max_age_ms": NEVER_MS} | spec.stream_fields
    return StreamConfig(
        mode="inline",
        align=spec.align,
        input_size=network_size,
        mask_size=mask_size,
        # Measured only where a trigger needs it: it labels key frames twice.
        agreement=fields["disagreement"] > 0,
        **fields,
    )
