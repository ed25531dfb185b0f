"""Small data sets in the layouts of the real ones, written by the tests that read them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (24, 16)
"""Width and height of the frames."""


def write(path: Path, pixels: np.ndarray) -> Path:
    """An image file; uint8 H×W or H×W×3 RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels
    assert cv2.imwrite(str(path), bgr)
    return path


def plain(value: int) -> np.ndarray:
    """A frame that tells its number by its brightness, whatever a JPEG makes of it: uint8 H×W×3."""
    return np.full((SIZE[1], SIZE[0], 3), value, np.uint8)


def stripes(values: list[int]) -> np.ndarray:
    """A label image of upright stripes: uint8 H×W."""
    columns = np.array(values, np.uint8)[np.arange(SIZE[0]) * len(values) // SIZE[0]]
    return np.tile(columns, (SIZE[1], 1))


def brightness(image: np.ndarray) -> int:
    return round(float(image.mean()))


def camvid(root: Path, split: str = "train", numbers: tuple[int, ...] = (30, 60, 90)) -> Path:
    """The 11-class distribution: one sequence; stripes of all classes and void."""
    for number in numbers:
        name = f"0001TP_{number:06d}"
        write(root / split / "0001TP" / "image" / f"{name}.jpg", plain(number))
        write(root / split / "0001TP" / "label" / f"{name}.png", stripes(list(range(12))))
    return root


def camvid_full(root: Path) -> Path:
    """The full distribution: two stills with the frames of the video around one of them."""
    colors = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    colors[:, :8] = (128, 64, 128)  # road
    colors[:, 8:16] = (64, 128, 192)  # SUV / pickup, a car
    for number in (30, 60):
        write(root / "701_StillsRaw_full" / f"0016E5_{number:05d}.png", plain(number))
        write(root / "LabeledApproved_full" / f"0016E5_{number:05d}_L.png", colors)
    for number in (28, 29, 31):
        write(root / "0016E5" / f"0016E5_{number:05d}.png", plain(number))
    (root / "train.txt").write_text("0016E5_00030\n0016E5_00060\n")
    return root


def cityscapes(root: Path, *, snippets: bool = True) -> Path:
    """One city, one snippet: frames 0-29 of which frame 19 is labelled."""
    folder = "leftImg8bit_sequence" if snippets else "leftImg8bit"
    for number in range(30) if snippets else (19,):
        write(root / folder / "train/ulm" / f"ulm_000003_{number:06d}_leftImg8bit.png", plain(number))
    write(root / "gtFine/train/ulm/ulm_000003_000019_gtFine_labelIds.png", stripes([0, 7, 8, 11, 33, 34]))
    return root


def vspw(root: Path) -> Path:
    """Two videos in `train.txt`, of three and two frames; masks hold class id + 1."""
    for name, count in (("1001_a", 3), ("1002_b", 2)):
        for number in range(count):
            frame = f"{number * 3:08d}"
            write(root / "data" / name / "origin" / f"{frame}.jpg", plain(50 + number))
            write(root / "data" / name / "mask" / f"{frame}.png", stripes([0, 1, 2, 124, 254, 255]))
    (root / "train.txt").write_text("1001_a\n1002_b\n")
    return root


def recordings(root: Path) -> Path:
    """A folder of nine images with labels of frames 2 and 7, and the classes."""
    for number in range(9):
        write(root / "train" / "yard" / f"{number:06d}.png", plain(10 * number))
    for number in (2, 7):
        write(root / "train" / "yard.labels" / f"{number}.png", stripes([0, 1, 255, 255]))
    (root / "classes.yaml").write_text("floor: [10, 20, 30]\nwall: [40, 50, 60]\n")
    return root


def town(root: Path, size: tuple[int, int] = (96, 72)) -> Path:
    """Four frames, 30 apart, of a camera that moves along a simple town, in the 11-class CamVid layout."""
    width, height = size
    colors = np.array([[150, 180, 220], [120, 60, 50], [80, 80, 90], [60, 110, 40]], np.uint8)
    ids = np.array([0, 1, 3, 5], np.uint8)  # sky, building, road, tree
    y, x = np.mgrid[:height, :width]
    for step in range(4):
        here = np.zeros((height, width), np.uint8)
        here[(x > width * (0.55 - 0.08 * step)) & (y > height * 0.2)] = 1
        here[(x < width * (0.42 - 0.08 * step)) & (y > height * 0.35)] = 3
        here[y > height * (0.65 + 0.02 * step)] = 2
        grain = np.random.default_rng(step).integers(-20, 21, (height, width, 3))
        name = f"0001TP_{30 * (step + 1):06d}"
        image = np.clip(colors[here] + grain, 0, 255).astype(np.uint8)
        write(root / "train/0001TP/image" / f"{name}.jpg", image)
        write(root / "train/0001TP/label" / f"{name}.png", ids[here])
    return root


def frames(folder: Path, count: int = 9, size: tuple[int, int] = SIZE) -> Path:
    """A folder of images without labels; their brightness tells their number."""
    grain = np.random.default_rng(0).integers(0, 30, (size[1], size[0], 3))
    for number in range(count):
        write(folder / f"frame_{100 + 2 * number:04d}.png", (grain + 10 * number).astype(np.uint8))
    return folder
