"""Frames worth labelling: those that show something new, evenly spread, pre-labelled by a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcfm_lab.labelling.cvat import CvatWriter
from dcfm_lab.labelling.label_studio import LabelStudioWriter
from dcfm_lab.labelling.overview import OVERVIEW, sheet, shown, tile
from dcfm_lab.labelling.work import IMAGES, Work, save_work
from dcfm_ros.arrays import UNLABELLED, Floats, Image, Mask
from dcfm_ros.config import check, setting
from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import whole_file
from dcfm_ros.measure.table import counted, reasons
from dcfm_ros.media.messages import encode_jpeg
from dcfm_ros.media.source import Source
from dcfm_ros.model.classes import ClassSet
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.motion import change, structure
from dcfm_ros.stream.segmenter import StreamSegmenter

QUALITY = 95
"""Quality of the JPEG files that are labelled; what is trained on comes from the recording itself."""
EVERY_FRAME = StreamConfig(mode="inline", key_interval=1)


@dataclass(frozen=True)
class Choice:
    """Which frames are labelled."""

    count: int = setting(50, "frames to label, evenly spread over those that show something new", 1, 100_000)
    min_change: float = setting(
        0.1,
        "a frame shows something new when it differs by this from the last one that did, on the scale of the motion trigger; "
        "0: each does",
        0.0,
        1.0,
    )

    def __post_init__(self) -> None:
        check(self)


def chosen(source: Source, choice: Choice) -> tuple[list[str], list[str]]:
    """The names of the frames to label, in order, and what was left out, in words. Raises DcfmError where there is none."""
    new, seen, left_out = [], set(), Counter[str]()
    last: Floats | None = None
    for frame in source:
        now = structure(frame.rgb)
        if last is not None and change(last, now) < choice.min_change:
            continue
        last, name = now, label_name(source, frame.name, frame.stamp_ns)
        if name in seen:
            left_out["another has the same name or stamp"] += 1
        elif not name.isprintable():
            left_out["the name cannot be printed"] += 1
        else:
            new.append(name)
            seen.add(name)
    told = [*reasons("frame", "left out", left_out), *reasons("frame", "skipped", source.skipped)]
    told += [source.problem] if source.problem else []
    if not new:
        raise DcfmError(f"no frame of '{source.path}' can be labelled: {'; '.join(told) or 'it has none'}")
    if len(new) < choice.count:
        told.append(
            f"{counted(len(new), 'frame')} and not {choice.count}: no more differ by {choice.min_change:g} from each other; "
            "lower --min-change"
        )
    places = (np.arange(min(choice.count, len(new))) + 0.5) * len(new) / min(choice.count, len(new))
    return [new[int(place)] for place in places], told


def label_name(source: Source, name: str, stamp_ns: int) -> str:
    """What the label of a frame is called, so that `Recordings` finds the frame: see its layout."""
    return str(stamp_ns) if source.topic else name


def write_work(folder: Path, source: Source, names: list[str], engine: Engine, classes: ClassSet) -> None:
    """The frames of these names for CVAT and for Label Studio, with what the engine takes them for.

    Classes are matched by name; what the engine sees of others stays unlabelled. Raises OSError and DcfmError.
    """
    table = np.full(256, UNLABELLED, np.uint8)
    for number, name in enumerate(engine.card.classes):
        if name in classes.names:
            table[number] = classes.names.index(name)
    frames, tiles = {}, []
    sampled = shown(names)
    with (
        CvatWriter(folder, classes) as cvat,
        LabelStudioWriter(folder, classes) as label_studio,
        StreamSegmenter(engine, EVERY_FRAME) as stream,
    ):
        for name, rgb in _frames(source, names):
            mask: Mask = table[stream.step(rgb, None).mask]
            jpeg = encode_jpeg(rgb, QUALITY)
            image = folder / IMAGES / f"{name}.jpg"
            image.parent.mkdir(exist_ok=True)
            image.write_bytes(jpeg)
            cvat.add(name, jpeg, mask)
            label_studio.add(image.name, mask)
            frames[name] = (rgb.shape[1], rgb.shape[0])
            tiles += [tile(rgb, mask, classes)] if name in sampled else []
    with whole_file(folder / OVERVIEW) as file:
        file.write(sheet(tiles))
    save_work(folder, Work(str(source.path.resolve()), source.topic, frames), classes)


def _frames(source: Source, names: list[str]) -> Iterator[tuple[str, Image]]:
    wanted = set(names)
    for frame in source:
        name = label_name(source, frame.name, frame.stamp_ns)
        if name in wanted:
            wanted.remove(name)
            yield name, frame.rgb
        if not wanted:
            return
