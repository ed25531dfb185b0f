"""Label Studio: tasks with brush strokes, and the interface to label them in; what it exports as JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from numpy.typing import NDArray

from dcfm_lab.labelling.brush import check_pixels, decode, encode
from dcfm_lab.labelling.work import IMAGES, hex_color
from dcfm_ros.arrays import UNLABELLED, Mask
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import strict_json, whole_file
from dcfm_ros.model.classes import ClassSet

TASKS, INTERFACE = "label_studio.json", "label_studio.xml"
MAX_BYTES = 2**30
"""The largest export that is read."""
_BRUSH = {"from_name": "class", "to_name": "image", "type": "brushlabels", "original_rotation": 0}
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded."""


class LabelStudioWriter:
    """Writes `folder`/label_studio.json, the tasks, and label_studio.xml, their interface.

    Tasks name their images as Label Studio serves local files: `folder` must lie in LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT.
    """

    def __init__(self, folder: Path, classes: ClassSet) -> None:
        self._folder, self._classes = folder, classes
        self._tasks: list[dict[str, Any]] = []
        labels = "".join(
            f'\n    <Label value={quoteattr(name)} background="{hex_color(color)}"/>'
            for name, color in zip(classes.names, classes.colors, strict=True)
        )
        with whole_file(folder / INTERFACE) as file:
            file.write(
                '<View>\n  <Image name="image" value="$image" zoom="true" zoomControl="true"/>\n'
                f'  <BrushLabels name="class" toName="image">{labels}\n  </BrushLabels>\n</View>\n'.encode()
            )

    def add(self, image: str, mask: Mask) -> None:
        """mask: uint8 H×W, class ids."""
        size = {"original_width": mask.shape[1], "original_height": mask.shape[0]}
        strokes = [
            {
                "id": str(number),
                **_BRUSH,
                **size,
                "value": {"format": "rle", "rle": encode(mask == number), "brushlabels": [name]},
            }
            for number, name in enumerate(self._classes.names)
            if (mask == number).any()
        ]
        url = "/data/local-files/?d=" + quote(f"{self._folder.resolve().name}/{IMAGES}/{image}")
        self._tasks.append({"data": {"image": url}, "predictions": [{"result": strokes}]})

    def __enter__(self) -> LabelStudioWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            with whole_file(self._folder / TASKS) as file:
                file.write(json.dumps(self._tasks, separators=(",", ":")).encode())


def label_studio_masks(path: Path, classes: ClassSet, problems: Counter[str]) -> Iterator[tuple[str, Mask]]:
    """The names and masks of an export: uint8 H×W, ids of `classes`, 255 where nobody labelled.

    A task's newest annotation counts that was not skipped; later strokes and polygons lie over earlier ones. problems: counts what had to
    be left out. Raises DcfmError for an export that cannot be read, and for labels that are no class.
    """
    for task in _tasks(path):
        try:
            name = _image(task["data"])
            taken = [a for a in task["annotations"] if not a.get("was_cancelled")]
            strokes = max(taken, key=lambda a: str(a.get("updated_at", "")))["result"] if taken else []
            mask = _painted(strokes, classes, name, problems)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problems[f"a task of '{path}' is damaged ({error!r})"] += 1
            continue
        if mask is not None:
            yield name, mask


def _tasks(path: Path) -> Iterable[Any]:
    if path.stat().st_size > MAX_BYTES:
        raise DcfmError(f"'{path}' is larger than {MAX_BYTES // 2**20} MiB; export fewer tasks at a time")
    try:
        tasks = strict_json(path.read_bytes())
    except ValueError as error:
        raise DcfmError(f"'{path}' is not valid JSON: {error}") from error
    if not isinstance(tasks, list) or not all(
        isinstance(t, dict) and {"data", "annotations"} <= t.keys() for t in tasks
    ):
        raise DcfmError(
            f"'{path}' is no list of tasks with annotations; export it from Label Studio as 'JSON'"
        )
    return tasks


def _image(data: dict[str, Any]) -> str:
    """The name of a task's image, without suffix."""
    url = urlsplit(str(data["image"]))
    place = parse_qs(url.query).get("d", [unquote(url.path)])[0]
    return _UPLOADED.sub("", PurePosixPath(place).stem) if "/upload/" in place else PurePosixPath(place).stem


def _painted(strokes: list[Any], classes: ClassSet, name: str, problems: Counter[str]) -> Mask | None:
    """All strokes of a picture in one mask; None where there is none. Raises DcfmError for a label that is no class."""
    mask: Mask | None = None
    for stroke in strokes:
        kind, value = stroke.get("type"), stroke["value"]
        if kind not in _SHAPES:
            problems[f"a '{kind}' is neither a brush stroke nor a polygon: label with these"] += 1
            continue
        (label,) = value[kind]
        if label not in classes.names:
            raise DcfmError(
                f"'{name}' holds the label '{label}'; the classes are {', '.join(classes.names)}: rename it in Label Studio, or "
                "add it to classes.yaml"
            )
        width, height = int(stroke["original_width"]), int(stroke["original_height"])
        painted = _SHAPES[kind](value, width, height)
        if mask is None:
            mask = np.full((height, width), UNLABELLED, np.uint8)
        mask[painted] = classes.names.index(label)
    return mask


def _brushed(value: dict[str, Any], width: int, height: int) -> NDArray[np.bool_]:
    return decode(value["rle"], width, height)


def _enclosed(value: dict[str, Any], width: int, height: int) -> NDArray[np.bool_]:
    """The pixels in a polygon and under its sides; its points are in percent of the picture's sides."""
    points = np.asarray(value["points"], float).reshape(-1, 2) / 100
    if len(points) < 3 or not ((points >= 0) & (points <= 1)).all():
        raise ValueError("a polygon of fewer than three points, or with points beyond the picture")
    check_pixels(width, height)
    corners = np.ceil(points * (width, height) - 1).astype(np.int32)
    painted = np.zeros((height, width), np.uint8)
    cv2.fillPoly(painted, [corners], 1)
    return painted.astype(bool)


_SHAPES = {"brushlabels": _brushed, "polygonlabels": _enclosed}
