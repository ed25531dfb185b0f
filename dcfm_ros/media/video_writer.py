"""Writes a video that browsers and players open, with the codecs that OpenCV's wheels bring."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from dcfm_ros.errors import DcfmError
from dcfm_ros.files import name_for_opencv

# VP8 plays in every browser and player and needs no licence; MPEG-4 Part 2 plays in players only.
_CODECS = ((".webm", "VP80"), (".mp4", "mp4v"))

_MIN_RATE, _MAX_RATE = 0.1, 240.0


class VideoWriter:
    """A video being written; the file appears with the first frame, and its suffix tells the codec found.

    stem: path without suffix. rate: frames per second; codecs take none below or above theirs.
    rate: of the file. path: the file, None before the first frame.
    """

    def __init__(self, stem: Path, rate: float) -> None:
        self._stem, self.rate = stem, min(max(rate, _MIN_RATE), _MAX_RATE)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._count = 0
        self.path: Path | None = None

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame, uint8 H×W×3 RGB. Frames of another size than the first are scaled to it.

        Raises DcfmError: no codec, or the file cannot be written.
        """
        if self._writer is None:
            # Both codecs need even sizes.
            self._size = (rgb.shape[1] // 2 * 2, rgb.shape[0] // 2 * 2)
            self._writer, self.path = self._open()
        if (rgb.shape[1], rgb.shape[0]) != self._size:
            rgb = cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        self._count += 1

    def _open(self) -> tuple[cv2.VideoWriter, Path]:
        for suffix, codec in _CODECS:
            path = self._stem.with_name(self._stem.name + suffix)
            with _quiet():
                writer = cv2.VideoWriter(
                    name_for_opencv(path),
                    cv2.CAP_FFMPEG,
                    cv2.VideoWriter.fourcc(*codec),
                    self.rate,
                    self._size,
                )
            if writer.isOpened():
                return writer, path
        raise DcfmError(
            f"OpenCV {cv2.__version__} cannot write the video {self._stem}; is the folder writable?"
        )

    def close(self) -> None:
        """Finish the file. Raises DcfmError where it is not whole, which OpenCV does not tell."""
        if self._writer is None or self.path is None:
            return
        self._writer.release()
        self._writer = None
        written = cv2.VideoCapture(name_for_opencv(self.path), cv2.CAP_FFMPEG)
        announced = written.get(cv2.CAP_PROP_FRAME_COUNT)
        written.set(cv2.CAP_PROP_POS_FRAMES, self._count - 1)
        whole = announced > 0 and written.grab()
        written.release()
        if not whole:
            raise DcfmError(f"The video {self.path} is cut short; is the disk full?")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides FFmpeg's remark on stderr that it writes WebM's codec tag its own way, which is what we want."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
