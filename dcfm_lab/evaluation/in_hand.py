"""What a robot has when a frame comes: the newest mask that is finished, judged by that frame's truth (streaming accuracy,
Li et al. 2020, arXiv 2005.10420).

A frame that comes while another is worked on waits, and gives way to a newer one, as in the node. The work is done for real,
frame after frame, and counted with the medians that were measured in turns with all other methods: what else the machine
does while this is worked out changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean

from dcfm_lab.evaluation.actors import actor
from dcfm_lab.evaluation.config import BIDIRECTIONAL, EvaluationConfig, MethodSpec
from dcfm_lab.evaluation.report import InHand
from dcfm_lab.evaluation.speed import Speed
from dcfm_lab.evaluation.video import Video
from dcfm_ros.arrays import Mask
from dcfm_ros.config import Size
from dcfm_ros.engines.base import Engine
from dcfm_ros.measure.metrics import ConfusionMatrix


def all_in_hand(
    engine: Engine, videos: Sequence[Video], config: EvaluationConfig, speeds: dict[MethodSpec, Speed]
) -> dict[MethodSpec, tuple[InHand, ...]]:
    """Of each method that a live camera allows and whose key frames are fixed, at each of `config.rates`."""
    specs = [spec for spec in speeds if spec.key_interval and spec.method != BIDIRECTIONAL]
    first_ms = max(speed.key_ms for speed in speeds.values())
    found = {}
    for spec in specs:
        runs = [Runs(engine, video, spec, config.input_size) for video in videos]
        found[spec] = tuple(
            in_hand(len(engine.card.classes), runs, speeds[spec], rate, first_ms) for rate in config.rates
        )
    return found


def in_hand(classes: int, runs: Sequence[Runs], speed: Speed, rate: float, first_ms: float) -> InHand:
    """Of one method on some videos at one camera rate, Hz, whatever the videos' own.

    first_ms: frames that come sooner after the first are not judged: give what the slowest method takes for its first
    mask, so that all are judged on the same frames.
    """
    matrix, ages, used, frames = ConfusionMatrix.empty(classes), [], 0, 0
    for run in runs:
        video, finished = run.video, run.finished(speed, rate)
        used, frames = used + len(finished), frames + len(video)
        for index in range(len(video)):
            at_ms = 1e3 * index / rate
            label = video[index].label
            ready = [done for done in finished if done[0] <= at_ms]
            if at_ms < first_ms or label is None or not ready:
                continue
            _, seen, mask = ready[-1]
            matrix += ConfusionMatrix.of(mask, label, classes)
            ages.append(1e3 * (index - seen) / rate)
    return InHand(
        rate, matrix.mean_iou if matrix.pixels else None, fmean(ages) if ages else None, used / frames
    )


class Runs:
    """A video labelled by one method at several camera rates. What they have in common is computed once: at all rates
    at which no frame is dropped, that is everything.

    network_size: (width, height).
    """

    def __init__(self, engine: Engine, video: Video, spec: MethodSpec, network_size: Size) -> None:
        self.video = video
        height, width = video[0].rgb.shape[:2]
        self._new_actor = partial(actor, engine, spec, network_size, (width, height))
        self._known: list[list[Labelled]] = []

    def finished(self, speed: Speed, rate: float) -> list[tuple[float, int, Mask]]:
        """Its masks: when each is finished, milliseconds after the first frame, of which frame it is, and itself."""
        for known in self._known:
            again = self._work(speed, rate, partial(_as_before, iter(known)))
            if again is not None:
                return again
        label, labelled = self._new_actor(), []

        def step(index: int) -> Labelled:
            frame = self.video[index]
            labelled.append((index, *label(frame.rgb, frame.stamp_ns)))
            return labelled[-1]

        finished = self._work(speed, rate, step)
        self._known.append(labelled)
        assert finished is not None
        return finished

    def _work(
        self, speed: Speed, rate: float, step: Callable[[int], Labelled | None]
    ) -> list[tuple[float, int, Mask]] | None:
        """Works on the newest frame that has come, again and again. None where `step` has none for a frame."""
        finished: list[tuple[float, int, Mask]] = []
        now, index = 0.0, 0
        while index < len(self.video):
            now = max(now, 1e3 * index / rate)
            index = min(int(now * rate / 1e3 + 1e-9), len(self.video) - 1)
            labelled = step(index)
            if labelled is None:
                return None
            _, mask, kind = labelled
            now += speed.of(kind)
            finished.append((now, index, mask))
            index += 1
        return finished


Labelled = tuple[int, Mask, str]
"""A frame's number, its mask, and its kind."""


def _as_before(known: Iterator[Labelled], index: int) -> Labelled | None:
    """What the next frame of an earlier run gave, if that was this frame."""
    labelled = next(known, None)
    return labelled if labelled and labelled[0] == index else None
