"""The demo's own input: a synthetic drive, rendered ahead on all cores and kept, so that it plays at its full rate."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from dcfm_ros.cache import cache_root, cached, code_digest
from dcfm_ros.config import Size, usable_cores
from dcfm_ros.errors import DcfmError, say
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.messages import IMAGE, picture
from dcfm_ros.media.source import FIRST_STAMP_NS

if TYPE_CHECKING:
    from dcfm_ros.street import SyntheticDrive

IMAGE_TOPIC, LABEL_TOPIC = "/camera/image", "/camera/label"
_FRAME_ID = "camera"
_BAG = "bag"
_KEPT = 8
"""Drives; each takes tens to hundreds of megabytes."""


@dataclass(frozen=True)
class Drive:
    """Which drive to render: `size` is (width, height) in pixels, `fps` frames per second, `length` frames."""

    seed: int
    size: Size
    fps: float
    length: int

    @property
    def words(self) -> str:
        return f"synthetic drive {self.seed}, {self.length} frames of {self.size[0]}×{self.size[1]} at {self.fps:g} Hz"


def rendered(drive: Drive) -> Path:
    """The drive as a bag with images and labels; rendered now if it is not in the cache.

    Raises DcfmError: a drive that cannot be rendered.
    """
    # In this process, so that what cannot be rendered is refused at once.
    _scene(dataclasses.replace(drive, length=1))

    def build(folder: Path) -> None:
        say(f"rendering the {drive.words}: once, then it is kept in {cache_root()} ...", file=sys.stderr)
        _write(drive, folder / _BAG)

    key = {"drive": repr(drive), "renderer": code_digest("street")}
    return cached("drive", key, build, folder="demo", kept=_KEPT) / _BAG


def _write(drive: Drive, path: Path) -> None:
    bar = tqdm(total=drive.length, unit="frame", desc="rendering the drive", dynamic_ncols=True, disable=None)
    with bar, BagWriter(path) as bag:
        for index, (image, label) in enumerate(_render(drive)):
            stamp = FIRST_STAMP_NS + round(index * 1e9 / drive.fps)
            bag.write(LABEL_TOPIC, IMAGE, stamp, picture(label, stamp, _FRAME_ID))
            bag.write(IMAGE_TOPIC, IMAGE, stamp, picture(image, stamp, _FRAME_ID))
            bar.update()


def _render(drive: Drive) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The frames in order, rendered by one process per core. They are not forked: forking a process that has
    threads is not safe."""
    workers = min(usable_cores(), drive.length)
    context = multiprocessing.get_context("spawn")
    # Ctrl-C reaches every process of the terminal; only the parent handles it.
    ignoring = (signal.signal, (signal.SIGINT, signal.SIG_IGN))
    with concurrent.futures.ProcessPoolExecutor(workers, context, *ignoring) as pool:
        waiting: deque[concurrent.futures.Future[tuple[np.ndarray, np.ndarray]]] = deque()
        try:
            for index in range(drive.length):
                waiting.append(pool.submit(_render_one, drive, index))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise DcfmError(
                "A process that renders the drive ended unexpectedly; is there enough memory?"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _render_one(drive: Drive, index: int) -> tuple[np.ndarray, np.ndarray]:
    frame = _scene(drive)[index]
    return frame.image, frame.label


@functools.cache
def _scene(drive: Drive) -> SyntheticDrive:
    """The drive, made once in each process."""
    from dcfm_ros.street import SyntheticDrive

    return SyntheticDrive(drive.seed, drive.size, drive.fps, drive.length)
