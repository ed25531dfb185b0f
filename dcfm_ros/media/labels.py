"""Ground truth beside a stream of frames: a folder of label images, or a label topic of a bag."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Protocol

import numpy as np

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_files import is_bag
from dcfm_ros.media.bag_source import image_topic
from dcfm_ros.media.bags import Bag, stamp_ns
from dcfm_ros.media.files import ImageFolder
from dcfm_ros.media.label_image import Colours, class_ids
from dcfm_ros.media.source import IMAGE_SUFFIXES, Frame, Source

_LABEL_SUBFOLDERS = ("label", "labels")
_LABEL_ENCODINGS = ("mono8", "8UC1")
# Labels may be logged some frames away from their image; more than this many are never kept.
_WINDOW = 64


class Labels(Protocol):
    """Where the label of a frame comes from."""

    name: str

    def of(self, frame: Frame) -> np.ndarray | None:
        """The frame's label, uint8 H×W of class ids, 255 for unlabelled; None where there is none."""
        ...


class NoLabels:
    """Stands in where there is no ground truth."""

    name = ""

    def of(self, frame: Frame) -> np.ndarray | None:
        return None


class LabelFolder:
    """Label images (see `label_image`) named like the frames they belong to.

    Raises:
        DcfmError: no such folder, or no PNG in it.
    """

    def __init__(self, folder: Path, colours: Colours = ()) -> None:
        self.name, self._colours = str(folder), colours
        if not folder.is_dir():
            raise DcfmError(f"The label folder {folder} does not exist.")
        self._files = {file.stem: file for file in folder.iterdir() if file.suffix.lower() == ".png"}
        if not self._files:
            others = {file.suffix for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES}
            raise DcfmError(
                f"The label folder {folder} holds no PNG files"
                + (f", but {', '.join(sorted(others))}" if others else "")
                + "; labels are 8-bit PNG, value = class id."
            )

    def of(self, frame: Frame) -> np.ndarray | None:
        file = self._files.get(frame.name)
        if file is None:
            return None
        return class_ids(file.read_bytes(), self.name, self._colours)


class LabelTopic:
    """A label topic (`mono8` Image or PNG CompressedImage) of a bag, matched to the frames by header stamp.

    Read along with the frames in stamp order: only a window of labels is held in memory.

    Raises:
        DcfmError: no such topic, or not an image topic.
    """

    def __init__(self, path: Path, topic: str, colours: Colours = ()) -> None:
        self.name, self._colours = topic, colours
        bag = Bag(path)
        image_topic(bag, topic, "label topic")
        self._messages = bag.messages(topic)
        self._window: OrderedDict[int, np.ndarray] = OrderedDict()
        self._newest = self._asked = -1

    def of(self, frame: Frame) -> np.ndarray | None:
        if frame.stamp_ns < self._asked:
            self._follow_jump()
        self._asked = frame.stamp_ns
        while frame.stamp_ns not in self._window and self._newest < frame.stamp_ns:
            if not self._read():
                break
        return self._window.pop(frame.stamp_ns, None)

    def _follow_jump(self) -> None:
        """The frames' stamps have jumped back: read on to where those of the labels do."""
        before = self._newest
        while self._read():
            if self._newest < before:
                return
            before = self._newest

    def _read(self) -> bool:
        """Read the next label; false at the end."""
        entry = next(self._messages, None)
        if entry is None:
            return False
        _, time_ns, message = entry
        self._newest = stamp_ns(message) or time_ns
        self._window[self._newest] = self._decode(message)
        if len(self._window) > _WINDOW:
            self._window.popitem(last=False)
        return True

    def _decode(self, message: object) -> np.ndarray:
        if hasattr(message, "format"):
            return class_ids(message.data, self.name, self._colours)  # type: ignore[attr-defined]
        return label_of(message, self.name)


def label_of(message: object, name: str) -> np.ndarray:
    """The class ids of a one-channel 8-bit Image message, uint8 H×W, rows unpadded.

    Raises:
        DcfmError: another encoding, or too little data.
    """
    encoding, height, width, step = message.encoding, message.height, message.width, message.step  # type: ignore[attr-defined]
    if encoding not in _LABEL_ENCODINGS:
        raise DcfmError(
            f"The label topic {name!r} has the encoding {encoding!r}; class ids are {' or '.join(_LABEL_ENCODINGS)}."
        )
    data = np.frombuffer(message.data, np.uint8)  # type: ignore[attr-defined]
    if step < width or data.size < step * height:
        raise DcfmError(
            f"A label of {name!r} has {data.size} bytes; expected {height} rows of {step} bytes, {width} or more in each."
        )
    return data[: step * height].reshape(height, step)[:, :width]


def open_labels(source: Source, spec: str | None, colours: Colours = ()) -> Labels:
    """Labels for a source: a folder, a topic of the same bag, or those that lie beside a folder of images.

    Args:
        spec: a folder, a topic name, BAG:TOPIC for a topic of another bag, or None: `label/` beside `image/` if it exists.
        colours: RGB of the classes, by id, for labels that show them.

    Raises:
        DcfmError: nothing usable at `spec`.
    """
    if spec is None:
        if isinstance(source, ImageFolder):
            for folder in (source.folder.parent / name for name in _LABEL_SUBFOLDERS):
                if source.folder.name.startswith("image") and folder.is_dir():
                    return LabelFolder(folder, colours)
        return NoLabels()
    for colon in (
        place for place, letter in enumerate(spec) if letter == ":"
    ):  # there may be one in the bag's name
        path, topic = Path(spec[:colon]), spec[colon + 1 :]
        if topic and path.exists() and is_bag(path):
            return LabelTopic(path, topic, colours)
    if source.topic and not Path(spec).is_dir():
        return LabelTopic(source.path, spec, colours)
    return LabelFolder(Path(spec), colours)
