"""Draws the pictures of masks in docs/pictures: `python tools/mask_pictures.py [WEIGHTS]`, from the source tree."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.overlay import draw_overlay
from dcfm_ros.stream.segmentation import Segmentation
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import OFF
from dcfm_ros.street import DriveFrame, SyntheticDrive

KEY_INTERVAL = 10
SHOWN = (0, 5, 9, 19)
"""Frames of the drive: a key frame, and such that are 5 and 9 frames behind theirs."""
GAP = 6
HEAD = 26
MOVING, MOVING_FRAMES, MOVING_MS = (360, 270), 50, 67
"""Of the README's moving picture: the size of each half, and how many frames it has, at the 15 in a second of the drive."""
INK, KEY, OTHER = (40, 40, 40), (232, 114, 28), (63, 127, 214)


def main() -> None:
    model = load_model(sys.argv[1] if len(sys.argv) > 1 else default_weights())
    save("masks.jpg", masks(model), 0.6)
    save_moving("drive.webp", drive(model))


def masks(model: DCFM) -> np.ndarray:
    """Rows: frames of drive 0, which no training has seen. Columns: the frame, its truth, its mask, the mask over it."""
    colors = np.full((256, 3), 0, np.uint8)
    colors[: len(model.card.colors)] = model.card.colors
    rows = []
    for index, frame, result in segmented(model, model.card.input_size, max(SHOWN)):
        if index in SHOWN:
            age = "key frame" if result.key_frame else f"key frame {result.age_frames} frames old"
            over = draw_overlay(frame.image, result.mask, model.card)
            parts = (frame.image, colors[frame.label], colors[result.mask], over)
            names = (f"frame {index}", "truth", f"mask, {age}", "overlay")
            rows.append(np.hstack([titled(part, name) for part, name in zip(parts, names)]))
    return np.vstack(rows)


def drive(model: DCFM) -> Iterator[np.ndarray]:
    """What the node makes of the drive, frame by frame: camera, overlay, and how old the common feature is."""
    width = MOVING[0]
    for _, frame, result in segmented(model, model.card.input_size, MOVING_FRAMES - 1):
        over = draw_overlay(frame.image, result.mask, model.card, legend=False)
        pair = [cv2.resize(part, MOVING, interpolation=cv2.INTER_AREA) for part in (frame.image, over)]
        foot = np.full((HEAD, 2 * width, 3), 255, np.uint8)
        age = result.age_frames
        text = (
            "key frame: the common feature is new"
            if result.key_frame
            else f"the common feature is {age} frame{'s' if age > 1 else ''} old"
        )
        cv2.putText(foot, text, (width + 2, HEAD - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
        for place in range(age + 1):  # a box for each frame that has used it
            corner = (2 + 16 * place, 7)
            cv2.rectangle(foot, corner, (corner[0] + 11, 18), KEY if place == 0 else OTHER, cv2.FILLED)
        yield np.vstack([np.hstack(pair), foot])


def save_moving(name: str, pictures: Iterator[np.ndarray]) -> None:
    animation = cv2.Animation()
    animation.frames = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
    animation.durations = [MOVING_MS] * len(animation.frames)
    path = ROOT / "docs" / "pictures" / name
    cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_WEBP_QUALITY, 50])
    print(f"wrote {path}")


def segmented(
    model: DCFM, size: tuple[int, int], last: int
) -> Iterator[tuple[int, DriveFrame, Segmentation]]:
    drive = SyntheticDrive(seed=0, size=size)
    config = StreamConfig(mode="inline", **(OFF | {"key_interval": KEY_INTERVAL}))
    with StreamSegmenter(model, config) as stream:
        for index in range(last + 1):
            frame = drive[index]
            yield index, frame, stream.step(frame.image, 1_000_000_000 + frame.stamp_ns)


def save(name: str, picture: np.ndarray, scale: float) -> None:
    path = ROOT / "docs" / "pictures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"wrote {path}")


def titled(image: np.ndarray, title: str) -> np.ndarray:
    """The image below a line of text, with a white gap around both."""
    head = np.full((HEAD, image.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (2, HEAD - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
    return np.pad(np.vstack([head, image]), ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
