"""The videos of a run: one for people, and a small one in which its page steps from frame to frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dcfm_ros.media.video_writer import VideoWriter
from dcfm_ros.model.config import ModelCard
from dcfm_ros.stream.overlay import draw_overlay

VIDEO, STEPS = "overlay", "frames"
"""Without their suffix: the codec that is found decides it."""
DEFAULT_RATE = 15.0
"""Frames per second of a video whose input does not know its own."""
_WIDTH = 400
"""Each of the page's two pictures is at most this wide."""


class RunVideo:
    """Every frame with its mask in `VIDEO`; camera and overlay side by side, small, in `STEPS`.

    rate: frames per second of both. shown: which of the run's frames are in them, in this order.
    """

    def __init__(self, folder: Path, rate: float | None, card: ModelCard) -> None:
        self._card = card
        self._video, self._steps = (
            VideoWriter(folder / name, rate or DEFAULT_RATE) for name in (VIDEO, STEPS)
        )
        self.rate = self._steps.rate
        self.shown: list[int] = []

    def write(self, index: int, rgb: np.ndarray, mask: np.ndarray, overlay: np.ndarray) -> None:
        """The run's frame of that number, uint8 H×W×3 RGB, its mask of class ids, uint8 h×w, and both as `draw_overlay` makes it.

        Raises DcfmError: no codec, or a file cannot be written.
        """
        self._video.write(overlay)
        height, width = rgb.shape[:2]
        if width > _WIDTH:
            size = (_WIDTH, max(1, round(height * _WIDTH / width)))
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        self._steps.write(np.hstack([rgb, draw_overlay(rgb, mask, self._card, legend=False)]))
        self.shown.append(index)

    def close(self) -> None:
        """Finish the files."""
        self._video.close()
        self._steps.close()

    @property
    def steps(self) -> str:
        """The file that the page steps through; "" where there is none."""
        return self._steps.path.name if self._steps.path else ""

    @property
    def files(self) -> dict[str, str]:
        """File name -> what it is, of those that were written."""
        named = (
            (self._video, "every frame with its mask as a video"),
            (self._steps, "camera and segmentation side by side: what this page steps through"),
        )
        return {video.path.name: words for video, words in named if video.path}
