"""The common feature of a key frame, and how it comes about."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dcfm_ros.config import Size
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import NAN, Stopwatch

if TYPE_CHECKING:
    from dcfm_ros.engines.base import Engine

AGREEMENT_STRIDE = 4  # of the network: labels compared at its own resolution, not at the image's


@dataclass(frozen=True)
class KeyFrame:
    """A frame whose common feature is asked for."""

    index: int  # its place in the stream
    stamp_ns: int
    time_ns: int  # message time
    size: Size  # of the network's input
    independent: Any  # its independent feature, from which the common branch goes on


@dataclass(frozen=True)
class CommonFeature:
    """What other frames borrow from a key frame. Never changed: a newer one takes its place."""

    index: int
    stamp_ns: int
    time_ns: int
    feature: Any  # the engine's handle
    common_ms: float  # the duration of the common branch
    agreement: float = NAN  # share (0-1) of its pixels that the one before labels alike; NaN: not measured
    elapsed_ms: float = NAN  # message time between the two


class CommonBranch:
    """Turns a key frame into a common feature. Measures the reuse agreement with the one before, if asked to.

    The agreement is measured on the key frame itself, here and not in `step`, so that in background mode no frame pays
    for it.
    """

    def __init__(self, engine: Engine, config: StreamConfig) -> None:
        self.engine = engine
        self.agreement = config.agreement or config.disagreement > 0

    def in_pieces(
        self, frame: KeyFrame, before: CommonFeature | None, pieces: int
    ) -> Generator[None, None, CommonFeature]:
        """The common feature of `frame`, in about `pieces` pieces and one more that measures the agreement with `before`:
        one at each `next`.

        What the engine has to make ready for so many is made ready here and not in the first piece.
        """
        if pieces > 1:
            parts = self.engine.common_slices(frame.independent, pieces)
        else:
            parts = self._at_once(frame.independent)
        return self._steps(parts, frame, before)

    def _steps(
        self, parts: Generator[None, None, Any], frame: KeyFrame, before: CommonFeature | None
    ) -> Generator[None, None, CommonFeature]:
        feature, common_ms = yield from _timed(parts)
        agreement = elapsed_ms = NAN
        if before is not None:
            elapsed_ms = (frame.time_ns - before.time_ns) / 1e6
            if self.agreement:
                yield
                agreement = float(
                    np.mean(self._labels(frame, feature) == self._labels(frame, before.feature))
                )
        return CommonFeature(
            frame.index, frame.stamp_ns, frame.time_ns, feature, common_ms, agreement, elapsed_ms
        )

    def _at_once(self, independent: Any) -> Generator[None, None, Any]:
        yield from ()
        return self.engine.common(independent)

    def _labels(self, frame: KeyFrame, feature: Any) -> np.ndarray:
        size = tuple(-(-side // AGREEMENT_STRIDE) for side in frame.size)
        return self.engine.label_map(self.engine.logits(feature, frame.independent), (size[0], size[1]))[0]


def _timed(parts: Generator[None, None, Any]) -> Generator[None, None, tuple[Any, float]]:
    """The result of `parts`, and how many ms it was computed on."""
    milliseconds = 0.0
    while True:
        watch = Stopwatch()
        try:
            next(parts)
        except StopIteration as end:
            return end.value, milliseconds + watch.lap()
        milliseconds += watch.lap()
        yield
