"""Your own data: videos, bags or folders of images, each beside a folder with labels of some of its frames."""

from __future__ import annotations

import bisect
import json
import logging
import re
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2

from dcfm_lab.datasets.base import (
    existing_file,
    existing_folder,
    frame_number,
    images_in,
    lookup_table,
    read_label,
)
from dcfm_lab.datasets.videos import Video, VideoFiles
from dcfm_ros.arrays import UNLABELLED, Image
from dcfm_ros.cache import cached
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import name_for_opencv, strict_json
from dcfm_ros.measure.table import counted
from dcfm_ros.media.bag_files import is_bag
from dcfm_ros.media.files import ImageFolder
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import Frame, Source, image_files
from dcfm_ros.model.classes import read_classes

logger = logging.getLogger(__name__)

LAYOUT = (
    "SPLIT/NAME (a video, a folder of images, a rosbag) beside SPLIT/NAME.labels/NUMBER.png, and classes.yaml. NUMBER is "
    "the frame's place in the video or folder, from 0, or in a bag its stamp in nanoseconds"
)
LABELS = ".labels"
STAMPS = "stamps.json"
KEPT_RECORDINGS = 1000
STORE = Path("recordings")
"""A folder in the package's cache."""


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
            video, rate = _video(_recording(folder, name), image_files(labels), topic, reach, store)
            videos.append(video)
            rates.append(rate)
        if not any(video.labels for video in videos):
            raise DcfmError(f"no label in '{folder}'; expected {LAYOUT}")
        super().__init__(videos, classes, lookup_table({i: i for i in range(len(classes.names))}))
        self.fps = rates[0]
        self._check_labels()

    def _check_labels(self) -> None:
        """Raises DcfmError for labels that teach nothing, before a training begins."""
        count, labelled = len(self.classes.names), False
        for video, number in self.places:
            label = self.read_label(video.labels[number])
            wrong = label[(label >= count) & (label != UNLABELLED)]
            if wrong.size:
                raise DcfmError(
                    f"'{video.labels[number]}' holds the value {wrong.max()}, which is no class; expected class ids from 0 "
                    f"to {count - 1}, as in classes.yaml, or {UNLABELLED} for none"
                )
            labelled = labelled or bool((label < count).any())
        if not labelled:
            raise DcfmError(f"no pixel of {counted(len(self), 'label')} has a class: all are {UNLABELLED}")

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


def _video(path: Path, labels: list[Path], topic: str, reach: int, store: Path) -> tuple[Video, float]:
    """The labelled part of a recording, and its rate in frames per second."""
    wanted = None if path.is_dir() and not is_bag(path) else {frame_number(label) for label in labels}
    recording = recorded(path, wanted, topic, reach, store)
    if wanted is None:
        named = _by_name(labels, recording.frames)
    else:
        numbers = {label: frame_number(label) for label in labels}
        named = {label: recording.places[n] for label, n in numbers.items() if n in recording.places}
    placed: dict[int, Path] = {}
    for label in labels:
        place = named.get(label)
        if place is None or place not in recording.frames:
            what = "image with this stamp" if recording.by_stamp else "frame with this number or name"
            raise DcfmError(f"'{label}' labels no frame: '{path}' has no {what}; expected {LAYOUT}")
        if place in placed:
            raise DcfmError(f"'{placed[place]}' and '{label}' label the same frame of '{path}'; remove one")
        placed[place] = label
    return Video(path.stem, recording.frames, placed), recording.rate


def _by_name(labels: list[Path], frames: Mapping[int, Path]) -> dict[Path, int]:
    """The place of each label's image: of the same name, else the only one with the same number at its end.

    Where no name says anything, the numbers are places.
    """
    stems = {image.stem: place for place, image in frames.items()}
    numbers: dict[str, list[int]] = {}
    for place, image in frames.items():
        numbers.setdefault(_number(image), []).append(place)
    found = {}
    for label in labels:
        alike = [stems[label.stem]] if label.stem in stems else numbers.get(_number(label), [])
        if len(alike) == 1:
            found[label] = alike[0]
    return found or {label: frame_number(label) for label in labels}


def _number(path: Path) -> str:
    digits = re.search(r"[0-9]+$", path.stem)
    return digits[0].lstrip("0") if digits else path.stem


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
        if isinstance(source, ImageFolder):
            frames, stamps = dict(enumerate(source.files)), {}
        else:
            folder = cached(
                path.stem,
                _key(path, topic, reach, wanted),
                lambda folder: _copy(source, folder, wanted, reach, by_stamp),
                folder=store,
                kept=KEPT_RECORDINGS,
            )
            stamps = strict_json((folder / STAMPS).read_bytes())
            frames = images_in(folder)
    places = {number: number for number in frames}
    if by_stamp:
        by_stamp_ns = {int(stamp): int(number) for number, stamp in stamps.items()}
        places = _nearest(by_stamp_ns, wanted, source.rate, path)
    return Recorded(frames, places, by_stamp, source.rate or VideoFiles.fps)


def _nearest(
    stamps: dict[int, int], wanted: set[int] | None, rate: float | None, path: Path
) -> dict[int, int]:
    """The places of the wanted stamps: those of the frames nearest to them, within half the time between two."""
    found, off = {}, []
    for stamp in stamps if wanted is None else wanted:
        nearest = min(stamps, key=lambda other: abs(other - stamp), default=None)
        if nearest is not None and abs(nearest - stamp) <= _half(rate):
            found[stamp] = stamps[nearest]
            off += [abs(nearest - stamp)] if nearest != stamp else []
    if off:
        taken, far = counted(len(off), "label"), max(off) / 1e3
        logger.warning(
            "%s of %s used for the nearest image: their stamps are up to %.3g µs off", taken, path, far
        )
    return found


def _half(rate: float | None) -> float:
    """Half the time between two frames, ns: stamps in names may be rounded."""
    return 0.49e9 / rate if rate else 0.0


def _copy(source: Source, folder: Path, wanted: set[int] | None, reach: int, by_stamp: bool) -> None:
    """Writes the frames within `reach` of a wanted one (None: all) as NUMBER.png, and their stamps."""
    stamps = {}
    for number, frame in _numbered(source) if wanted is None else _near(source, wanted, reach, by_stamp):
        # Little compression: it is read far more often than written, and the disk is fast.
        cv2.imwrite(
            name_for_opencv(folder / f"{number:07d}.png"),
            frame.rgb[..., ::-1],
            [cv2.IMWRITE_PNG_COMPRESSION, 1],
        )
        stamps[number] = frame.stamp_ns
    (folder / STAMPS).write_text(json.dumps(stamps))


def _numbered(source: Source) -> Iterable[tuple[int, Frame]]:
    """The frames with their places in the recording, where those that cannot be read have theirs, too."""
    return ((int(frame.name), frame) for frame in source)


def _near(source: Source, wanted: set[int], reach: int, by_stamp: bool) -> Iterable[tuple[int, Frame]]:
    """The frames within `reach` of a wanted one, with their places in the recording, each once and in order."""
    before: deque[tuple[int, Frame]] = deque(maxlen=reach)
    until = -1
    stamps, half = sorted(wanted) if by_stamp else [], _half(source.rate)
    for number, frame in _numbered(source):
        at = bisect.bisect_left(stamps, frame.stamp_ns - half)
        if (not by_stamp and number in wanted) or (at < len(stamps) and stamps[at] <= frame.stamp_ns + half):
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
