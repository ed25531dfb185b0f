"""Exported labels beside their recording, as `Recordings` reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from dcfm_lab.datasets.recordings import LABELS
from dcfm_lab.labelling.archive import Archive
from dcfm_lab.labelling.cvat import LABEL_MAP, cvat_masks
from dcfm_lab.labelling.label_studio import label_studio_masks
from dcfm_lab.labelling.work import Work
from dcfm_ros.arrays import UNLABELLED, Mask
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import check_outputs, whole_file
from dcfm_ros.measure.table import counted, size
from dcfm_ros.media.mask_writer import CLASSES, class_table, palette_png
from dcfm_ros.model.classes import ClassSet, read_classes

_SHOWN = 3


def exported(export: Path, work: Work, classes: ClassSet) -> tuple[dict[str, Mask], list[str]]:
    """The labels of the frames in `work` by name, uint8 H×W, ids of `classes`; and what is missing or was left out, in words.

    Raises DcfmError for what is no export, is of other classes, or labels none of the frames.
    """
    problems: Counter[str] = Counter()
    masks: dict[str, Mask] = {}
    unknown, empty, unlike = [], [], []
    for path, mask in _masks(export, classes, problems):
        name = path if path in work.frames else path.rpartition("/")[2]
        expected = work.frames.get(name)
        if expected is None:
            unknown.append(path)
        elif name in masks:
            raise DcfmError(f"'{export}' labels '{name}' twice; remove one of them")
        elif mask.shape[::-1] != expected:
            unlike.append(f"{name} ({size(mask.shape[::-1])}, its image {size(expected)})")
        elif (mask == UNLABELLED).all():
            empty.append(name)
        else:
            masks[name] = mask
    told = [f"{why}: {counted(count, 'time')}" for why, count in problems.items()]
    met = {*masks, *empty, *(text.partition(" ")[0] for text in unlike)}
    for what, names in (
        ("of no frame of this work", unknown),
        ("of another size than its image", unlike),
        ("without a labelled pixel", empty),
    ):
        told += [f"{counted(len(names), 'label')} {what}, left out: {_some(names)}"] if names else []
    missing = [name for name in work.frames if name not in met]
    told += [f"{counted(len(missing), 'frame')} not in the export: {_some(missing)}"] if missing else []
    if not masks:
        raise DcfmError(f"'{export}' labels 0 of {counted(len(work.frames), 'frame')}; {'; '.join(told)}")
    return masks, told


def _masks(export: Path, classes: ClassSet, problems: Counter[str]) -> Iterator[tuple[str, Mask]]:
    if not export.exists():
        raise DcfmError(f"'{export}' does not exist; expected an export of CVAT or Label Studio")
    if export.is_file() and export.suffix.lower() == ".json":
        yield from label_studio_masks(export, classes, problems)
        return
    with Archive(export) as archive:
        if not any(name.rpartition("/")[2] == LABEL_MAP for name in archive.files):
            raise DcfmError(
                f"'{export}' has no {LABEL_MAP}; expected 'Segmentation mask 1.1' of CVAT, or 'JSON' of Label Studio (its PNG "
                "files do not say which image they are of)"
            )
        yield from cvat_masks(archive, classes, problems)


def write_data_set(
    root: Path, split: str, name: str, work: Work, classes: ClassSet, masks: dict[str, Mask], *, force: bool
) -> Path:
    """Labels, classes and a link to the recording below `root`; returns the folder of the labels.

    name: of the recording there; "": its own. Raises DcfmError where something else is there.
    """
    recording = Path(work.recording)
    if not recording.exists():
        raise DcfmError(f"the recording '{recording}' is not there any more; put it back, or a link to it")
    suffix = "" if recording.is_dir() else recording.suffix
    stem = name or (recording.name if recording.is_dir() else recording.stem)
    place, folder = root / split / f"{stem}{suffix}", root / split / f"{stem}{LABELS}"
    others = [
        path for path in (root / split).glob("*") if stem in (path.name, path.stem) and path.suffix != LABELS
    ]
    if any(path.resolve() != recording for path in others):
        raise DcfmError(
            f"'{others[0]}' is another recording than '{recording}'; give this one another --name"
        )
    table = root / CLASSES
    if table.exists() and read_classes(table).names != classes.names:
        raise DcfmError(
            f"'{table}' has the classes {', '.join(read_classes(table).names)}, these labels {', '.join(classes.names)}; all "
            "recordings of a data set have the same, in the same order"
        )
    check_outputs([folder / f"{frame}.png" for frame in masks], force=force, read=[recording])
    if not table.exists():
        with whole_file(table) as file:
            file.write(class_table(classes.names, classes.colors))
    palette = [*classes.colors, *[(0, 0, 0)] * (256 - len(classes.colors))]
    for frame, mask in masks.items():
        with whole_file(folder / f"{frame}.png") as file:
            file.write(palette_png(mask, palette))
    if not others:
        place.symlink_to(recording)
    return folder


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
