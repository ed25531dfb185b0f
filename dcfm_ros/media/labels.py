"""Ground truth beside a stream of frames: a folder of label images, or a label topic of a bag."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.table import counted
from dcfm_ros.media.bag_files import is_bag
from dcfm_ros.media.bag_source import image_topic
from dcfm_ros.media.bags import Bag, Stamps
from dcfm_ros.media.files import ImageFolder
from dcfm_ros.media.label_image import Colours, class_ids
from dcfm_ros.media.source import Frame, Source, image_files

_LABEL_SUBFOLDERS = ("label", "labels")
_LABEL_ENCODINGS = ("mono8", "8UC1")
# Labels may be logged some frames away from their image; more than this many are never kept.
_WINDOW = 64
_AHEAD = 8  # labels read beyond a frame's stamp
_DEFAULT_RATE = 15.0
_MIN_STAMP = 10**15  # a smaller number in a name is no stamp in nanoseconds, but a frame's place
_ROUNDED_NS = 1e6


class Labels:
    """Where the label of a frame comes from; this one stands in where there is no ground truth.

    name: what the labels are called, "" for none. remark: how labels were matched, where that is not plain; else "".
    """

    name = ""

    def of(self, frame: Frame) -> np.ndarray | None:
        """The frame's label, uint8 H×W of class ids, 255 for unlabelled; None where there is none.

        Raises DcfmError where this frame's label cannot be read.
        """
        return None

    def unused(self) -> Counter[str]:
        """The labels that no frame has asked for: why -> how many. To be asked when the frames have ended."""
        return Counter()

    @property
    def remark(self) -> str:
        return ""


class LabelFolder(Labels):
    """Label images (see `label_image`) named like the frames they belong to, or by their number: the frame's place in a
    video or bag, from 0, or its stamp in nanoseconds.

    rate: frames per second. A stamp in a name belongs to the nearest frame within half the time between two.
    Raises DcfmError: no such folder, or no PNG in it.
    """

    def __init__(self, folder: Path, colours: Colours = (), rate: float | None = None) -> None:
        self.name, self._colours = str(folder), colours
        if not folder.is_dir():
            raise DcfmError(f"The label folder {folder} does not exist.")
        files = [file for file in image_files(folder) if file.suffix.lower() == ".png"]
        self._files = {_name(file.stem): file for file in files}
        if len(self._files) < len(files):
            name, count = Counter(_name(file.stem) for file in files).most_common(1)[0]
            raise DcfmError(
                f"The label folder {folder} holds {count} labels called {name!r}; keep one of them."
            )
        if not files:
            others = {file.suffix for file in image_files(folder)}
            raise DcfmError(
                f"The label folder {folder} holds no PNG files"
                + (f", but {', '.join(sorted(others))}" if others else "")
                + "; labels are 8-bit PNG, value = class id."
            )
        self._numbers = {int(stem): stem for stem in self._files if stem.isdecimal()}
        stamps = [number for number in self._numbers if number >= _MIN_STAMP]
        self._near = Nearest(stamps, rate)
        self._asked: set[str] = set()

    def of(self, frame: Frame) -> np.ndarray | None:
        stem: str | None = _name(frame.name)
        if stem not in self._files:
            stem = self._numbers.get(int(frame.name)) if frame.name.isdecimal() else None
        if stem is None and (stamp := self._near.take(frame.stamp_ns)) is not None:
            stem = self._numbers[stamp]
        if stem is None:
            return None
        self._asked.add(stem)
        try:
            data = self._files[stem].read_bytes()
        except OSError as error:
            raise DcfmError(f"A label image of {self.name} cannot be read: {error.strerror}") from error
        return class_ids(data, self.name, self._colours)

    def unused(self) -> Counter[str]:
        return _of_no_frame(len(self._files) - len(self._asked), len(self._files), "named")

    @property
    def remark(self) -> str:
        return self._near.remark


def _name(stem: str) -> str:
    """A name as others write it, too: macOS takes its umlauts apart."""
    return unicodedata.normalize("NFC", stem)


class LabelTopic(Labels):
    """A label topic (`mono8` Image or PNG CompressedImage) of a bag, matched to the frames by header stamp.

    Read along with the frames: only a window of labels is held in memory. A label may be some places away from where its
    frame is, and its stamp up to half the time between two frames (`rate` per second) off.
    Raises DcfmError: no such topic, or not an image topic.
    """

    def __init__(self, path: Path, topic: str, colours: Colours = (), rate: float | None = None) -> None:
        self.name, self._colours = topic, colours
        self._bag = Bag(path)
        self._count = image_topic(self._bag, topic, "label topic").count
        self._messages, self._stamps = self._bag.messages(topic), Stamps(self._bag, topic)
        self._window: OrderedDict[int, Any] = OrderedDict()
        self._near = Nearest(self._window, rate)
        self._jump_ns = round(_AHEAD * 1e9 / (rate or _DEFAULT_RATE))
        # The newest two stamps read; what was read beyond a jump back; the newest frame's stamp.
        self._newest: deque[int] = deque(maxlen=2)
        self._held: list[tuple[int, Any]] = []
        self._asked: int | None = None
        self._taken = 0

    def of(self, frame: Frame) -> np.ndarray | None:
        stamp = frame.stamp_ns
        if self._asked is not None and stamp < self._asked - self._jump_ns:
            self._follow_jump(stamp)
        # A few more than up to the frame's own: neighbours may have changed places. One wrong stamp does not read all.
        room = _WINDOW // 2 if self._asked is not None else self._count
        while room and stamp not in self._window and sum(each > stamp for each in self._window) < _AHEAD:
            if not self._read():
                break
            room -= 1
        self._asked = stamp
        label = self._near.take(stamp)
        if label is None:
            return None
        self._taken += 1
        return self._decode(self._window.pop(label))

    def unused(self) -> Counter[str]:
        return _of_no_frame(self._count - self._taken, self._count, "stamped")

    @property
    def remark(self) -> str:
        return "; ".join(text for text in (self._near.remark, self._bag.problem) if text)

    def _follow_jump(self, stamp: int) -> None:
        """The frames' stamps have jumped back: go on where those of the labels do, if they do near here."""
        room = _WINDOW
        while room and self._read():
            room -= 1
        if self._held and abs(self._held[0][0] - stamp) < abs(min(self._newest) - stamp):
            self._window.clear()
            self._window.update(self._held)
            self._newest.extend(each for each, _ in self._held)
            self._held = []

    def _read(self) -> bool:
        """Read the next label; false at the end, and where the stamps jump back, until the frames' do, too."""
        if self._held:
            return False
        entry = self._next()
        if entry is None:
            return False
        if self._is_back(entry[0]):
            after = self._next()
            if after is None or self._is_back(after[0]):
                self._held = [entry] if after is None else [entry, after]
                return False
            entry = after  # the one before has a wrong stamp, and no frame
        self._newest.append(entry[0])
        self._window[entry[0]] = entry[1]
        if len(self._window) > _WINDOW:
            self._window.popitem(last=False)
        return True

    def _is_back(self, stamp: int) -> bool:
        return bool(self._newest) and stamp < min(self._newest) - self._jump_ns

    def _next(self) -> tuple[int, Any] | None:
        entry = next(self._messages, None)
        return None if entry is None else (self._stamps.of(entry[2], entry[1]), entry[2])

    def _decode(self, message: Any) -> np.ndarray:
        if hasattr(message, "format"):
            return class_ids(message.data, self.name, self._colours)
        return label_of(message, self.name)


class Nearest:
    """Which of some stamps belongs to a frame: the same, or the nearest within half the time between two frames.

    stamps: any collection; what is taken from it may leave it. rate: frames per second; None: the stamps must
    be the same.
    """

    def __init__(self, stamps: Collection[int], rate: float | None) -> None:
        self._stamps = stamps
        self._reach = 0.5e9 / rate if rate else 0.0
        self._exact = self._shifted = 0
        self._farthest = 0

    def take(self, stamp_ns: int) -> int | None:
        """The stamp for a frame of this one; None where none is near enough."""
        if stamp_ns in self._stamps:
            self._exact += 1
            return stamp_ns
        # Where stamps are the same, one that is not is another frame's, unless it was merely rounded.
        reach = min(self._reach, _ROUNDED_NS) if self._exact else self._reach
        nearest = min(self._stamps, key=lambda other: abs(other - stamp_ns), default=None)
        if nearest is None or abs(nearest - stamp_ns) >= reach:
            return None
        self._shifted += 1
        self._farthest = max(self._farthest, abs(nearest - stamp_ns))
        return nearest

    @property
    def remark(self) -> str:
        if not self._shifted:
            return ""
        return (
            f"{counted(self._shifted, 'label')} used for the nearest frame: "
            f"stamps are up to {self._farthest / 1e3:.3g} µs off"
        )


def _of_no_frame(count: int, all_: int, how: str) -> Counter[str]:
    reason = f"{how} like no frame read ({counted(all_, 'label')} in all)"
    return Counter({reason: count} if count > 0 else {})


def label_of(message: object, name: str) -> np.ndarray:
    """The class ids of a one-channel 8-bit Image message, uint8 H×W, rows unpadded.

    Raises DcfmError: another encoding, or too little data.
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

    spec: a folder, a topic name, BAG:TOPIC for a topic of another bag, or None: `label/` beside `image/` if it
    exists. colours: RGB of the classes, by id, for labels that show them.
    Raises DcfmError: nothing usable at `spec`.
    """
    if spec is None:
        if isinstance(source, ImageFolder):
            for folder in (source.folder.parent / name for name in _LABEL_SUBFOLDERS):
                if source.folder.name.startswith("image") and folder.is_dir():
                    return LabelFolder(folder, colours)
        return Labels()
    for match in re.finditer(":", spec):  # there may be one in the bag's name
        path, topic = Path(spec[: match.start()]), spec[match.end() :]
        if topic and path.exists() and is_bag(path):
            return LabelTopic(path, topic, colours, source.rate)
    if source.topic and not Path(spec).is_dir():
        return LabelTopic(source.path, spec, colours, source.rate)
    return LabelFolder(Path(spec), colours, source.rate)
