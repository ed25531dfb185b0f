"""A video being evaluated: its current frame, and an engine for many streams that see it in step.

Nothing is computed twice. A frame's independent feature is the same for every key interval, its common feature is the same
wherever it is a key frame, and a mask depends only on which two features it comes from. So the 33 streams of key intervals
1, 2, 5, 10 and 15 with all their offsets share 15 masks per frame.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cached_property, reduce
from operator import add
from typing import Any, TypeVar

import cv2
import numpy as np

from dcfm_lab.evaluation.config import WARPED, WARPED_CHEAPLY
from dcfm_lab.evaluation.video import Video, VideoFrame
from dcfm_ros.arrays import Floats, Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.flow import Flow, warp
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.stream.alignment import FLOW_PRESET, flow_size
from dcfm_ros.stream.preprocess import preprocess

T = TypeVar("T")


class Scene:
    """The current frame of a video, and every result about it that several methods ask for, computed once.

    network_size: (width, height) of the network's input. reach: how many frames back and ahead methods look
    (1 or more). Masks have the size of the video's frames, which is that of their labels. Begins at frame 0.
    """

    def __init__(self, engine: Engine, video: Video, network_size: Size, reach: int) -> None:
        self.video = video
        self.network_size = network_size
        self._reach = max(reach, 1)
        self._frames: dict[int, VideoFrame] = {}
        height, width = self._frame_at(0).rgb.shape[:2]
        self.mask_size: Size = (width, height)
        self._flows = {method: mask_flow(method, network_size) for method in (WARPED, WARPED_CHEAPLY)}
        self.engine = SharedEngine(engine, self._network_input, self._reach)
        self.at(0)

    def at(self, index: int) -> None:
        """Go on to frame `index`; never back."""
        self.index = index
        self.frame = self._frame_at(index)
        _forget(self._frames, index - self._reach)
        self.engine.at(index, unseen=self.mask_size if self.frame.label is None else None)
        self._once = _Once()

    def mask_from(self, *keys: int) -> Mask:
        """The current frame's mask from the sum of its logits with the common features of frames `keys`, uint8 H×W."""
        return self.engine.mask_from(keys, self.mask_size)

    def moved(self, mask: Mask, method: str) -> Mask:
        """A mask of the frame before, moved to the current one along the optical flow of `method`, uint8 H×W."""
        return self._once((method, id(mask)), mask, lambda: warp(mask, self._flow_back(method)))

    def score(self, mask: Mask, num_classes: int) -> ConfusionMatrix:
        """A mask of the current frame against its truth."""
        assert self.frame.label is not None
        label = self.frame.label
        return self._once(id(mask), mask, lambda: ConfusionMatrix.of(mask, label, num_classes))

    def _flow_back(self, method: str) -> Flow:
        before = self._frame_at(self.index - 1).rgb
        return self._once(method, None, lambda: self._flows[method].back(self.frame.rgb, before))

    def _frame_at(self, index: int) -> VideoFrame:
        if index not in self._frames:
            self._frames[index] = self.video[index]
        return self._frames[index]

    def _network_input(self, index: int) -> Image:
        return preprocess(self._frame_at(index).rgb, self.network_size)


class OpticalFlow:
    """Dense flow from a frame back to the one before it, by OpenCV's DIS.

    A mask is brought along frame by frame: over many frames that is far closer to the truth than one flow
    from the current frame to the key frame, whose pixels have moved too far to be found, and it takes one
    flow per frame.
    """

    def __init__(self, size: Size, preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) -> None:
        """size: (width, height) at which frames are compared. preset: of OpenCV, how thoroughly."""
        self.size = size
        self._dis = cv2.DISOpticalFlow.create(preset)

    def back(self, current: Image, before: Image) -> Flow:
        """Where each pixel of `current` was in `before` (uint8 H×W×3): float32 h×w×2, pixels of `size`."""
        flow = self._dis.calc(self._grey(current), self._grey(before), None)  # type: ignore[call-overload]
        return np.asarray(flow, np.float32)

    def _grey(self, rgb: Image) -> Image:
        small = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def mask_flow(method: str, network_size: Size) -> OpticalFlow:
    """The flow that masks are moved along: at its best, or as cheap as the one that moves common features."""
    if method == WARPED:
        return OpticalFlow(network_size)
    return OpticalFlow(flow_size(network_size), FLOW_PRESET)


class Later:
    """The shared engine's "logits": computed when somebody asks for their mask, and kept."""

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute = compute

    @cached_property
    def values(self) -> Any:
        return self._compute()


class SharedEngine:
    """An engine that remembers what it computed; its results are those of the engine inside, bit for bit.

    `frame(i)` gives frame i at the network's input size, uint8 H×W×3. Call `at(i)` before the streams step to
    frame i. Features `reach` frames back and ahead stay available. For streams on one thread.
    """

    def __init__(self, engine: Engine, frame: Callable[[int], Image], reach: int) -> None:
        self.engine = engine
        self.card = engine.card
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision
        self.problem = engine.problem
        self._frame = frame
        self._reach = reach
        self._independents: dict[int, Any] = {}
        self._commons: dict[int, Any] = {}
        self.at(0)

    def at(self, index: int, *, unseen: Size | None = None) -> None:
        """The streams go on to frame `index`. Nobody will look at their masks of size `unseen`: they stay empty."""
        self.index = index
        self._unseen = unseen
        self._once = _Once()
        _forget(self._independents, index - self._reach)
        _forget(self._commons, index - self._reach)

    def independent_of(self, index: int) -> Any:
        """The independent feature of any frame in reach."""
        if index not in self._independents:
            self._independents[index] = self.engine.independent(self._frame(index))
        return self._independents[index]

    def common_of(self, index: int) -> Any:
        """The common feature of any frame in reach."""
        if index not in self._commons:
            self._commons[index] = self.engine.common(self.independent_of(index))
        return self._commons[index]

    def mask_from(self, keys: tuple[int, ...], size: Size) -> Mask:
        """The current frame's mask from the sum of its logits with the common features of frames `keys`.

        uint8, size (width, height). Adding before the upsampling is adding after it, because that is linear.
        """
        sides = [self.logits(self.common_of(key), self.independent_of(self.index)) for key in keys]
        if len(sides) == 1:
            return self._label_map(sides[0], size, False)[0]
        return self._once(
            (keys, size),
            sides,
            lambda: self.engine.label_map(reduce(add, (side.values for side in sides)), size)[0],
        )

    # What a stream calls:

    def prepare(self, size: Size, pieces: bool = False) -> None:
        self.engine.prepare(size, pieces=pieces)

    def independent(self, rgb: Image) -> Any:
        return self.independent_of(self.index)

    def common(self, independent: Any) -> Any:
        return self.common_of(self.index)

    def common_slices(self, independent: Any, pieces: int) -> Generator[None, None, Any]:
        raise DcfmError("a shared engine is for inline streams, which compute key frames in one piece")

    def align(self, common: Any, displacement: Floats) -> Any:
        # Streams that see the same frames measure the same displacements, each for itself.
        key = id(common), displacement.shape, hash(displacement.tobytes())
        return self._once(key, (common, displacement), lambda: self.engine.align(common, displacement))

    def background(self, threads: int) -> Engine:
        raise DcfmError("a shared engine is for inline streams, which have no worker in the background")

    def logits(self, common: Any, independent: Any) -> Later:
        key = (id(common), id(independent))
        return self._once(
            key, (common, independent), lambda: Later(lambda: self.engine.logits(common, independent))
        )

    def move(self, logits: Later, displacement: Floats) -> Later:
        key = id(logits), displacement.shape, hash(displacement.tobytes())
        return self._once(
            key, (logits, displacement), lambda: Later(lambda: self.engine.move(logits.values, displacement))
        )

    def label_map(self, logits: Later, size: Size, *, confidence: bool = False) -> tuple[Mask, Mask | None]:
        if size == self._unseen:
            return np.zeros(size[::-1], np.uint8), None
        return self._label_map(logits, size, confidence)

    def _label_map(self, logits: Later, size: Size, confidence: bool) -> tuple[Mask, Mask | None]:
        key = (id(logits), size, confidence)
        return self._once(
            key, logits, lambda: self.engine.label_map(logits.values, size, confidence=confidence)
        )


class _Once:
    """Computes what a key stands for once. Keys may hold ids of what it is computed from, which is kept with the result:
    while that lives, no other object has its id.
    """

    def __init__(self) -> None:
        self._results: dict[Any, tuple[Any, Any]] = {}

    def __call__(self, key: Any, source: Any, compute: Callable[[], T]) -> T:
        if key not in self._results:
            self._results[key] = (source, compute())
        result: T = self._results[key][1]
        return result


def _forget(of_frames: dict[int, Any], before: int) -> None:
    for old in [index for index in of_frames if index < before]:
        del of_frames[old]
