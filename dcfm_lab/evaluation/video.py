"""Videos to evaluate on: a dataset's frames in the order they were taken, loaded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from dcfm_lab.datasets.base import FrameDataset
from dcfm_ros.arrays import Image, Mask
from dcfm_ros.measure.table import counted
from dcfm_ros.media.source import FIRST_STAMP_NS
from dcfm_ros.model.config import ModelCard, in_groups

# Slower than this it is a series of photographs: no robot keeps a common feature for so many metres.
MIN_VIDEO_FPS = 5.0


@dataclass(frozen=True)
class VideoFrame:
    """A frame and, where there is one, its truth.

    rgb: uint8 H×W×3. label: uint8 H×W, class ids, 255 where there is no truth; None for a frame without
    labels. stamp_ns: when it was taken, in nanoseconds; a video begins at one second, for a stamp of 0 tells a
    stream that there is none.
    """

    rgb: Image
    label: Mask | None
    stamp_ns: int


@dataclass(frozen=True)
class Video:
    """Frames of one camera without a cut.

    fps: frames per second, 0 for a single frame. labelled: how many frames have labels.
    """

    fps: float
    length: int
    labelled: int
    load: Callable[[int], VideoFrame]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> VideoFrame:
        return self.load(index)

    def __iter__(self) -> Iterator[VideoFrame]:
        return (self.load(index) for index in range(self.length))


@dataclass(frozen=True)
class Footage:
    """Videos of a dataset to evaluate on, and what had to be left out, in words ("" for nothing)."""

    name: str
    split: str
    classes: tuple[str, ...]
    videos: list[Video]
    note: str

    @property
    def is_video(self) -> bool:
        return any(len(video) > 1 for video in self.videos)

    @property
    def frames(self) -> int:
        return sum(len(video) for video in self.videos)


def in_groups_of(footage: Footage, card: ModelCard) -> Footage:
    """Footage labelled with the classes of a model's weights, labelled with the groups of its card; the same where it has
    none.
    """

    def grouped(video: Video, index: int) -> VideoFrame:
        frame = video[index]
        return frame if frame.label is None else replace(frame, label=in_groups(frame.label, card))

    videos = [replace(video, load=partial(grouped, video)) for video in footage.videos]
    return replace(footage, classes=card.classes, videos=videos)


def open_footage(dataset: FrameDataset, name: str, split: str, reach: int) -> Footage:
    """A dataset's videos, or its frames one by one where most of them are not part of any video."""
    everything = videos_of(dataset, reach)
    moving = [video for video in everything if len(video) > 1]
    labelled = sum(video.labelled for video in moving)
    if 2 * labelled < len(dataset):
        note = (
            f"{name} {split} is not a video: its labelled frames lie too far apart for a common feature to be "
            f"reused. Each is segmented on its own (K = 1); other key intervals, triggers, baselines and camera rates are left out."
        )
        return Footage(name, split, dataset.classes.names, everything, note)
    alone = len(dataset) - labelled
    note = (
        f"{name} {split}: {counted(alone, 'labelled frame')} outside of any video, left out." if alone else ""
    )
    return Footage(name, split, dataset.classes.names, moving, note)


def videos_of(dataset: FrameDataset, reach: int) -> list[Video]:
    """A dataset's labelled frames as videos, each labelled frame in one of them.

    Labelled frames that follow each other at `MIN_VIDEO_FPS` or faster are one video. One that stands alone
    is a video together with its unlabelled neighbours, up to `reach` before and after it, where the dataset
    has them close enough, and else a video of one frame.
    """
    fps = dataset.fps
    max_step = fps / MIN_VIDEO_FPS
    return [
        _along(dataset, run, fps) if len(run) > 1 else _around(dataset, run[0][1], fps, max_step, reach)
        for run in _runs(dataset, max_step)
    ]


def _runs(dataset: FrameDataset, max_step: float) -> list[list[tuple[int, int]]]:
    """Groups labelled frames into runs of (number of the frame in its sequence, index)."""
    runs: list[list[tuple[int, int]]] = []
    previous = ("", 0)
    for index in range(len(dataset)):
        sequence = dataset.sequence(index)
        # Its offset from the first frame of its sequence.
        number = -min(0, *dataset.offsets(index), 0)
        if sequence != previous[0] or not 0 < number - previous[1] <= max_step or not runs:
            runs.append([])
        runs[-1].append((number, index))
        previous = (sequence, number)
    return runs


def _along(dataset: FrameDataset, run: list[tuple[int, int]], fps: float) -> Video:
    """A run of labelled frames."""
    first, last = run[0][0], run[-1][0]

    def load(position: int) -> VideoFrame:
        number, index = run[position]
        frame = dataset[index]
        return VideoFrame(frame.image, frame.label, _stamp(number - first, fps))

    return Video(fps * (len(run) - 1) / (last - first), len(run), len(run), load)


def _around(dataset: FrameDataset, index: int, fps: float, max_step: float, reach: int) -> Video:
    """One labelled frame among the unlabelled ones next to it."""
    offsets = sorted([0, *dataset.offsets(index)])
    middle = offsets.index(0)
    begin = end = middle
    while begin > max(middle - reach, 0) and offsets[begin] - offsets[begin - 1] <= max_step:
        begin -= 1
    while end < min(middle + reach, len(offsets) - 1) and offsets[end + 1] - offsets[end] <= max_step:
        end += 1
    near = offsets[begin : end + 1]

    def load(position: int) -> VideoFrame:
        offset = near[position]
        stamp_ns = _stamp(offset - near[0], fps)
        if offset == 0:
            frame = dataset[index]
            return VideoFrame(frame.image, frame.label, stamp_ns)
        image = dataset.neighbour(index, offset)
        assert image is not None
        return VideoFrame(image, None, stamp_ns)

    rate = fps * (len(near) - 1) / (near[-1] - near[0]) if len(near) > 1 else 0.0
    return Video(rate, len(near), 1, load)


def _stamp(frames: int, fps: float) -> int:
    return FIRST_STAMP_NS + round(frames * 1e9 / fps)
