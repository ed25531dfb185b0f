"""Names and colours of the classes of the datasets this package knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dcfm_ros.config import from_mapping, read_yaml
from dcfm_ros.errors import DcfmError


@dataclass(frozen=True)
class ClassSet:
    """Class names and RGB colours (0-255), in the order of the class ids."""

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...] = field(metadata={"low": 0, "high": 255})


def spread_color(index: int) -> tuple[int, int, int]:
    """An RGB colour for class `index`; neighbouring numbers get colours that are told apart easily."""
    # Steps of the golden ratio never fall together, however many classes there are.
    hue = (index * 0.618033988749895) % 1.0
    value = (255, 205, 155)[index % 3]
    red, green, blue = (min(max(abs((hue * 6 + shift) % 6 - 3) - 1, 0), 1) for shift in (0, 4, 2))
    return int(red * value), int(green * value), int(blue * value)


def read_classes(path: Path) -> ClassSet:
    """The classes in a YAML or JSON file, in the order of their ids. Raises DcfmError."""
    table = read_yaml(path, "file of classes")
    try:
        if not table:
            raise DcfmError("it is empty")
        return from_mapping(ClassSet, {"names": list(map(str, table)), "colors": list(table.values())})
    except DcfmError as error:
        raise DcfmError(
            f"file of classes '{path}' must hold a line like 'road: [128, 64, 128]' for each class, red, green and blue "
            f"0-255: {error}"
        ) from error


_SETS = Path(__file__).parent / "class_sets"
CAMVID = read_classes(_SETS / "camvid.yaml")
CITYSCAPES = read_classes(_SETS / "cityscapes.yaml")
VSPW = read_classes(_SETS / "vspw.yaml")
CLASS_SETS = {"camvid": CAMVID, "cityscapes": CITYSCAPES, "vspw": VSPW}
