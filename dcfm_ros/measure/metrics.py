"""Measures of label maps against the truth, equal to those of the published DCFM evaluation.

A confusion matrix says how often truth `i` was labelled `j`; all but video consistency follows from it. Pixels whose truth is
not a class (255 by convention, any value >= num_classes) are left out of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcfm_ros.errors import DcfmError

CONSISTENCY_WINDOWS = (8, 16)

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """A confusion matrix as a value: add two of them for the matrix of both parts together.

    counts: int64 num_classes×num_classes, row = truth, column = prediction; never changed in place.
    """

    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.int64)
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
            raise DcfmError(f"a confusion matrix is square, this one is {_shape(counts)}")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    @classmethod
    def empty(cls, num_classes: int) -> ConfusionMatrix:
        """The matrix of no pixels: what a sum starts from."""
        return cls(np.zeros((num_classes, num_classes), np.int64))

    @classmethod
    def of(cls, prediction: ArrayLike, target: ArrayLike, num_classes: int) -> ConfusionMatrix:
        """The matrix of a label map, or a stack of them, against its truth.

        Both hold integers and have one shape, whatever that shape is. Pixels whose target is not in 0 ...
        num_classes-1 are left out, and so are those whose prediction is not: a published mask has no class
        "none", and a pixel without a label says nothing.

        Raises DcfmError where the shapes differ or a map does not hold integers.
        """
        predicted, truth = _label_pair(prediction, target)
        known = _is_class(truth, num_classes) & _is_class(predicted, num_classes)
        # One number per pair of classes, counted in one pass.
        pairs = truth[known].astype(np.int64) * num_classes + predicted[known]
        return cls(np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes))

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if self.num_classes != other.num_classes:
            raise DcfmError(
                f"cannot add confusion matrices of {self.num_classes} and {other.num_classes} classes"
            )
        return ConfusionMatrix(self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfusionMatrix) and np.array_equal(self.counts, other.counts)

    def __hash__(self) -> int:
        return hash((self.num_classes, self.counts.tobytes()))

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    @property
    def pixels(self) -> int:
        """How many pixels were counted."""
        return int(self.counts.sum())

    @cached_property
    def per_class_iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class, float64 (num_classes,); NaN for a class in neither map."""
        hits = np.diag(self.counts)
        return _ratio(hits, self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits)

    @cached_property
    def per_class_accuracy(self) -> NDArray[np.float64]:
        """Share of each class's true pixels that were found, float64 (num_classes,); NaN for none to find."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    @cached_property
    def mean_iou(self) -> float:
        """Mean of the classes' IoU, 0-1. NaN where there is nothing to average.

        A class in neither truth nor prediction has no IoU and is left out. The published evaluation counts it as
        0, so that its number depends on classes the video does not show; where every class occurs, as in the
        data sets it was made for, the two are equal.
        """
        return _mean(self.per_class_iou)

    @cached_property
    def weighted_iou(self) -> float:
        """Mean of the IoUs, each weighted with its class's share of the true pixels, 0-1. NaN without pixels."""
        if not self.pixels:
            return float("nan")
        share = self.counts.sum(axis=1) / self.pixels
        return float(share[share > 0] @ self.per_class_iou[share > 0])

    @cached_property
    def mean_accuracy(self) -> float:
        """Mean of the classes' accuracy, 0-1; classes that are not in the truth as in `mean_iou`."""
        return _mean(self.per_class_accuracy)

    @cached_property
    def pixel_accuracy(self) -> float:
        """Share of all pixels that are right, 0-1. NaN for an empty matrix."""
        return float(np.trace(self.counts) / self.pixels) if self.pixels else float("nan")


MAX_VIDEOS = 8
"""How many may alternate: the last seen are kept, since each holds what its pixels were."""


class VideoConsistency:
    """Video consistency (VC) frame by frame, for several windows at once and over several videos.

    Of the pixels whose truth stays the same for `window` frames, the share whose prediction does, 0-1: the mean over
    the windows that begin at frames 0 ... length-window-1. The published evaluation leaves out the very last window,
    and so do we; as published, all windows of all videos count alike. With `num_classes`, pixels whose truth is no
    class do not count (the published evaluation, and `None`, take "none" for a class like any other). A window in
    which the truth of no pixel stays the same says nothing and is left out.

    Keeps how many frames each pixel's truth and prediction have been what they are, so a video of any length
    takes the memory of one frame. Call `next_video` between two videos; those whose frames alternate have names.
    """

    def __init__(self, windows: Iterable[int] = CONSISTENCY_WINDOWS, num_classes: int | None = None) -> None:
        self.windows = tuple(windows)
        if not self.windows or min(self.windows) < 1:
            raise DcfmError(f"video consistency needs windows of 1 frame or more, got {self.windows}")
        self.num_classes = num_classes
        self._shares: dict[int, list[float]] = {window: [] for window in self.windows}
        self._videos: OrderedDict[Hashable, _Video] = OrderedDict()

    def next_video(self, video: Hashable = None) -> None:
        """What follows under this name is another video: no window reaches over the cut."""
        self._videos.pop(video, None)

    def forget(self) -> None:
        """End all videos: their values stay, the memory of their frames goes."""
        self._videos.clear()

    def add(self, prediction: ArrayLike, target: ArrayLike, video: Hashable = None) -> None:
        """The next frame's label maps, integers H×W."""
        predicted, truth = _label_pair(prediction, target)
        known = self._videos.pop(video, None)
        if known is None:
            known = _Video(_Unchanged(truth), _Unchanged(predicted), {})
        else:
            for window, share in known.pending.items():
                self._shares[window].append(share)
            known.truth.add(truth)
            known.prediction.add(predicted)
        known.pending = dict(self._windows_that_end(truth, known))
        self._videos[video] = known
        if len(self._videos) > MAX_VIDEOS:
            self._videos.popitem(last=False)

    def value(self, window: int) -> float:
        """Mean over all windows so far, 0-1; NaN where there is none."""
        shares = self._shares[window]
        return float(np.mean(shares)) if shares else float("nan")

    def _windows_that_end(self, truth: Labels, video: _Video) -> Iterable[tuple[int, float]]:
        for window in self.windows:
            same = video.truth.frames >= window
            if self.num_classes is not None:
                same &= _is_class(truth, self.num_classes)
            total = np.count_nonzero(same)
            if total:
                yield window, np.count_nonzero(same & (video.prediction.frames >= window)) / total


class _Unchanged:
    """For each pixel, the number of frames up to the newest for which its label has been the same."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels.copy()
        self.frames = np.ones(labels.shape, np.int32)

    def add(self, labels: Labels) -> None:
        if labels.shape != self.labels.shape:
            raise DcfmError(
                f"frames of a video are of one size, not {_shape(self.labels)} and then {_shape(labels)}"
            )
        self.frames *= labels == self.labels
        self.frames += 1
        self.labels = labels.copy()


@dataclass
class _Video:
    """Where a video is. pending: the share of each window that ended with the last frame: it counts when one follows."""

    truth: _Unchanged
    prediction: _Unchanged
    pending: dict[int, float]


def _label_pair(prediction: ArrayLike, target: ArrayLike) -> tuple[Labels, Labels]:
    predicted, truth = np.asarray(prediction), np.asarray(target)
    for name, labels in (("prediction", predicted), ("target", truth)):
        if labels.dtype.kind not in "iu":
            raise DcfmError(f"a {name} holds class ids, which are integers, not {labels.dtype}")
    if predicted.shape != truth.shape:
        raise DcfmError(
            f"the prediction is {_shape(predicted)}, its target {_shape(truth)}; they must have the same shape"
        )
    return predicted, truth


def _is_class(labels: Labels, num_classes: int) -> NDArray[np.bool_]:
    return (labels >= 0) & (labels < num_classes)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _shape(array: NDArray[Any]) -> str:
    return "×".join(map(str, array.shape)) or "a single number"
