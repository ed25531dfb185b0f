"""One engine for many streams that see the same frames in step, so that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import reduce
from operator import add
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dcfm_ros.arrays import Floats, Image, Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import DcfmError

T = TypeVar("T")


class Pair(NamedTuple):
    """The shared engine's "logits": the features they come from, in case somebody asks for their mask."""

    common: Any
    independent: Any


class SharedEngine:
    """An engine that remembers what it computed; its results are those of the engine inside, bit for bit.

    A frame's independent feature is the same for every key interval, its common feature is the same wherever
    it is a key frame, and a mask depends only on which two features it comes from. So the 33 streams of key
    intervals 1, 2, 5, 10 and 15 with all their offsets share 15 masks per frame.

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
        # What was computed, with what it was computed from: while that lives, no other object has its id.
        self._results: dict[Any, tuple[Any, Any]] = {}
        for features in (self._independents, self._commons):
            for old in [i for i in features if i < index - self._reach]:
                del features[old]

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
        pairs = [Pair(self.common_of(key), self.independent_of(self.index)) for key in keys]
        if len(pairs) == 1:
            return self._label_map(pairs[0], size, False)[0]
        return self._once(
            (keys, size),
            pairs,
            lambda: self.engine.label_map(reduce(add, (self._logits(*pair) for pair in pairs)), size)[0],
        )

    # What a stream calls:

    def prepare(self, size: Size) -> None:
        self.engine.prepare(size)

    def independent(self, rgb: Image) -> Any:
        return self.independent_of(self.index)

    def common(self, independent: Any) -> Any:
        return self.common_of(self.index)

    def common_slices(self, independent: Any, pieces: int) -> Generator[None, None, Any]:
        common = self.common(independent)
        yield
        return common

    def align(self, common: Any, displacement: Floats) -> Any:
        # Streams that see the same frames measure the same displacements, each for itself.
        key = id(common), displacement.shape, hash(displacement.tobytes())
        return self._once(key, (common, displacement), lambda: self.engine.align(common, displacement))

    def background(self, threads: int) -> Engine:
        raise DcfmError("a shared engine is for inline streams, which have no worker in the background")

    def logits(self, common: Any, independent: Any) -> Pair:
        return Pair(common, independent)

    def label_map(self, logits: Pair, size: Size, *, confidence: bool = False) -> tuple[Mask, Mask | None]:
        if size == self._unseen:
            return np.zeros(size[::-1], np.uint8), None
        return self._label_map(logits, size, confidence)

    def _label_map(self, pair: Pair, size: Size, confidence: bool) -> tuple[Mask, Mask | None]:
        key = (id(pair.common), id(pair.independent), size, confidence)
        return self._once(
            key, pair, lambda: self.engine.label_map(self._logits(*pair), size, confidence=confidence)
        )

    def _logits(self, common: Any, independent: Any) -> Any:
        key = (id(common), id(independent))
        return self._once(key, (common, independent), lambda: self.engine.logits(common, independent))

    def _once(self, key: Any, source: Any, compute: Callable[[], T]) -> T:
        if key not in self._results:
            self._results[key] = (source, compute())
        result: T = self._results[key][1]
        return result
