"""A video being evaluated: its current frame, and what the methods share about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dcfm_ros.arrays import Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.learn.evaluation.config import WARPED, WARPED_CHEAPLY
from dcfm_ros.learn.evaluation.shared import SharedEngine
from dcfm_ros.learn.evaluation.video import Video, VideoFrame
from dcfm_ros.measure.flow import Flow, OpticalFlow, warp
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
        for old in [i for i in self._frames if i < index - self._reach]:
            del self._frames[old]
        self.engine.at(index, unseen=self.mask_size if self.frame.label is None else None)
        # Results by the mask they came from, which is kept with them: while it lives, no other has its id.
        self._moved: dict[str, dict[int, tuple[Mask, Mask]]] = {method: {} for method in self._flows}
        self._matrices: dict[int, tuple[Mask, ConfusionMatrix]] = {}
        self._back: dict[str, Flow] = {}

    def mask_from(self, key: int) -> Mask:
        """The current frame's mask with the common feature of frame `key`, uint8 H×W."""
        return self.engine.mask_from((key,), self.mask_size)

    def mask_from_both(self, last: int, following: int) -> Mask:
        """The current frame's mask from the sum of its logits with two frames' common features, uint8 H×W."""
        return self.engine.mask_from((last, following), self.mask_size)

    def moved(self, mask: Mask, method: str) -> Mask:
        """A mask of the frame before, moved to the current one along the optical flow of `method`, uint8 H×W."""
        if method not in self._back:
            before = self._frame_at(self.index - 1)
            self._back[method] = self._flows[method].back(self.frame.rgb, before.rgb)
        flow = self._back[method]
        return _once(self._moved[method], mask, lambda: warp(mask, flow))

    def score(self, mask: Mask, num_classes: int) -> ConfusionMatrix:
        """A mask of the current frame against its truth."""
        assert self.frame.label is not None
        label = self.frame.label
        return _once(self._matrices, mask, lambda: ConfusionMatrix.of(mask, label, num_classes))

    def _frame_at(self, index: int) -> VideoFrame:
        if index not in self._frames:
            self._frames[index] = self.video[index]
        return self._frames[index]

    def _network_input(self, index: int) -> Image:
        return preprocess(self._frame_at(index).rgb, self.network_size)


def mask_flow(method: str, network_size: Size) -> OpticalFlow:
    """The flow that masks are moved along: at its best, or as cheap as the one that moves common features."""
    if method == WARPED:
        return OpticalFlow(network_size)
    return OpticalFlow(flow_size(network_size), FLOW_PRESET)


def _once(results: dict[int, tuple[Mask, T]], mask: Mask, compute: Callable[[], T]) -> T:
    if id(mask) not in results:
        results[id(mask)] = (mask, compute())
    return results[id(mask)][1]
