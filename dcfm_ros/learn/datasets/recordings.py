"""Your own data: videos, bags or folders of images, each beside a folder with labels of some of its frames."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2

from dcfm_ros.arrays import Image
from dcfm_ros.cache import cached
from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.datasets.base import existing_file, existing_folder, images_in, lookup_table, read_label
from dcfm_ros.learn.datasets.videos import Video, VideoFiles
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import Frame, Source
from dcfm_ros.model.classes import read_classes

LAYOUT = (
    "SPLIT/NAME (a video, a folder of images, a rosbag) beside SPLIT/NAME.labels/NUMBER.png, and classes.yaml. NUMBER is "
    "the frame's place in the video or folder, from 0, or in a bag its stamp in nanoseconds"
)
LABELS = ".labels"
STAMPS = "stamps.json"
KEPT_RECORDINGS = 1000
STORE = Path("recordings")
"""In the package's cache."""


class Recordings(VideoFiles):
    """Recordings with labels of some frames; everything else in a recording can be a neighbour.

    A label image holds class ids, in the order of `classes.yaml` (name: [red, green, blue]); 255 = none. Images come
    from a bag's `topic`, or its only one. What lies within `reach` frames of a label is copied into `cache` (default: a
    folder of the package's cache) once, for neither videos nor bags can be read out of order.
    """

    def __init__(
        self, root: str | Path, split: str = "train", *, topic: str = "", reach: int = 10, cache: str = ""
    ) -> None:
        root = existing_folder(root, LAYOUT)
        folder = existing_folder(root / split, LAYOUT)
        classes = read_classes(existing_file(root / "classes.yaml", LAYOUT))
        store = Path(cache).expanduser().absolute() if cache else STORE
        videos, rates = [], []
        for labels in sorted(
            path for path in folder.iterdir() if path.is_dir() and path.name.endswith(LABELS)
        ):
            name = labels.name.removesuffix(LABELS)
            video, rate = _video(_recording(folder, name), images_in(labels), topic, reach, store)
            videos.append(video)
            rates.append(rate)
        if not any(video.labels for video in videos):
            raise DcfmError(f"no label in '{folder}'; expected {LAYOUT}")
        super().__init__(videos, classes, lookup_table({i: i for i in range(len(classes.names))}))
        self.fps = rates[0]

    def read_label(self, path: Path) -> Image:
        return read_label(path, self.classes.colors)


def _recording(folder: Path, name: str) -> Path:
    """The one thing in `folder` called `name`, with or without a suffix."""
    found = sorted(
        path for path in folder.iterdir() if name in (path.name, path.stem) and path.suffix != LABELS
    )
    if len(found) != 1:
        what = "nothing" if not found else " and ".join(f"'{path.name}'" for path in found)
        raise DcfmError(f"'{folder / (name + LABELS)}' labels {what}; expected one recording: {LAYOUT}")
    return found[0]


def _video(path: Path, labels: dict[int, Path], topic: str, reach: int, store: Path) -> tuple[Video, float]:
    """The labelled part of a recording, and its rate in frames per second."""
    recording = recorded(path, set(labels), topic, reach, store)
    places = recording.places
    for number, label in labels.items():
        if places.get(number) not in recording.frames:
            what = "image with this stamp" if recording.by_stamp else "frame with this number"
            raise DcfmError(f"'{label}' labels no frame: '{path}' has no {what}; expected {LAYOUT}")
    video = Video(path.stem, recording.frames, {places[number]: label for number, label in labels.items()})
    return video, recording.rate


class Recorded(NamedTuple):
    """A recording's frames as image files by their number, from 0, and its rate in frames per second.

    places: the frames' numbers by what they are wanted by, which is their stamp in a bag (by_stamp), else their number.
    """

    frames: dict[int, Path]
    places: dict[int, int]
    by_stamp: bool
    rate: float


def recorded(path: Path, wanted: set[int] | None, topic: str, reach: int, store: Path) -> Recorded:
    """What lies within `reach` frames of a `wanted` one, or (None) all of a recording. Raises DcfmError."""
    with open_source(path, topic or None) as source:
        by_stamp = source.kind.startswith("rosbag")
        if source.kind == "images":
            frames, stamps = dict(enumerate(images_in(path).values())), {}
        else:
            folder = cached(
                path.stem,
                _key(path, topic, reach, wanted),
                lambda folder: _copy(source, folder, wanted, reach, by_stamp),
                folder=store,
                kept=KEPT_RECORDINGS,
            )
            stamps = json.loads((folder / STAMPS).read_text())
            frames = images_in(folder)
    places = (
        {int(stamp): int(number) for number, stamp in stamps.items()} if by_stamp else {n: n for n in frames}
    )
    return Recorded(frames, places, by_stamp, source.rate or VideoFiles.fps)


def _copy(source: Source, folder: Path, wanted: set[int] | None, reach: int, by_stamp: bool) -> None:
    """Writes the frames within `reach` of a wanted one (None: all) as NUMBER.png, and their stamps."""
    stamps = {}
    for number, frame in enumerate(source) if wanted is None else _near(source, wanted, reach, by_stamp):
        # Little compression: it is read far more often than written, and the disk is fast.
        cv2.imwrite(str(folder / f"{number:07d}.png"), frame.rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        stamps[number] = frame.stamp_ns
    (folder / STAMPS).write_text(json.dumps(stamps))


def _near(
    frames: Iterable[Frame], wanted: set[int], reach: int, by_stamp: bool
) -> Iterable[tuple[int, Frame]]:
    """The frames within `reach` of a wanted one, with their places in the recording, each once and in order."""
    before: deque[tuple[int, Frame]] = deque(maxlen=reach)
    until = -1
    for number, frame in enumerate(frames):
        if (frame.stamp_ns if by_stamp else number) in wanted:
            yield from before
            before.clear()
            until = number + reach
        if number <= until:
            yield number, frame
        else:
            before.append((number, frame))


def _key(path: Path, topic: str, reach: int, wanted: set[int] | None) -> dict[str, str]:
    """What changes when the recording or what is wanted of it does."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        "recording": str(path.resolve()),
        "files": repr([(file.stat().st_size, file.stat().st_mtime_ns) for file in files]),
        "topic": topic,
        "reach": str(reach),
        "wanted": "all" if wanted is None else repr(sorted(wanted)),
    }
