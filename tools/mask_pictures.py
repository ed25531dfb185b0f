"""Draws the pictures of masks in docs/pictures: `python tools/mask_pictures.py [WEIGHTS]`, from the source tree."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dcfm_ros.learn.datasets.drive import SyntheticDrive  # noqa: E402
from dcfm_ros.model import default_weights, load_model  # noqa: E402
from dcfm_ros.stream import StreamConfig, StreamSegmenter  # noqa: E402
from dcfm_ros.stream.overlay import draw_overlay  # noqa: E402

KEY_INTERVAL = 10
SHOWN = (0, 5, 9, 19)
"""Frames of the drive: a key frame, and such that are 5 and 9 frames behind theirs."""
GAP = 6
HEAD = 26


def main() -> None:
    """Rows: frames of drive 0, which no training has seen. Columns: the frame, its truth, its mask, the mask over it."""
    model = load_model(sys.argv[1] if len(sys.argv) > 1 else default_weights())
    drive = SyntheticDrive(seed=0, size=model.card.input_size)
    config = StreamConfig(mode="inline", key_interval=KEY_INTERVAL, key_period_ms=0, motion_threshold=0)
    colors = np.full((256, 3), 0, np.uint8)
    colors[: len(model.card.colors)] = model.card.colors
    rows = []
    with StreamSegmenter(model, config) as stream:
        for index in range(max(SHOWN) + 1):
            frame = drive[index]
            result = stream.step(frame.image, 1_000_000_000 + frame.stamp_ns)
            if index in SHOWN:
                age = "key frame" if result.key_frame else f"key frame {result.age_frames} frames old"
                overlay = draw_overlay(frame.image, result.mask, model.card)
                parts = (frame.image, colors[frame.label], colors[result.mask], overlay)
                names = (f"frame {index}", "truth", f"mask, {age}", "overlay")
                rows.append(np.hstack([titled(part, name) for part, name in zip(parts, names)]))
    path = ROOT / "docs" / "pictures" / "masks.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.vstack(rows)
    half = cv2.resize(picture, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), np.ascontiguousarray(half[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"wrote {path}")


def titled(image: np.ndarray, title: str) -> np.ndarray:
    """The image below a line of text, with a white gap around both."""
    head = np.full((HEAD, image.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (2, HEAD - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
    return np.pad(np.vstack([head, image]), ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
