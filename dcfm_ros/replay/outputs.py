"""The folder a run writes: what lies in it, and what happens when it exists already."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from dcfm_ros.errors import DcfmError
from dcfm_ros.files import check_apart
from dcfm_ros.replay.run_video import STEPS, VIDEO

PAGE, NUMBERS, FRAMES, TABLE = "index.html", "results.json", "frames.csv", "table.csv"
RUNS, BAG, LOG = "runs", "bag", "log"
PARAMETERS = "recommended.yaml"
"""What a sweep recommends, as a parameter file of the node."""
# Marks a folder that a run has written. Nothing is ever removed from a folder of the user's own.
_MARK = ".dcfm_run"
_VIDEOS = (f"{name}{suffix}" for name in (VIDEO, STEPS) for suffix in (".webm", ".mp4"))
_OURS = (PAGE, NUMBERS, FRAMES, TABLE, PARAMETERS, BAG, LOG, *_VIDEOS)


def prepare(folder: Path, *, force: bool, read: Iterable[Path] = ()) -> None:
    """Create the folder, or remove an earlier run's files from it (and nothing else) if `force`.

    read: files and folders that the run will read.
    Raises DcfmError: an earlier run is there and `force` is not given; the folder holds something else, or what
    the run reads; it cannot be written.
    """
    check_apart(folder, read, emptied=True)
    try:
        if folder.exists() and not folder.is_dir():
            raise DcfmError(f"The output {folder} is a file; give a folder.")
        if folder.is_dir() and any(folder.iterdir()):
            if not (folder / _MARK).exists():
                raise DcfmError(
                    f"The output folder {folder} holds files that no run of dcfm wrote; choose another."
                )
            if not force:
                raise DcfmError(
                    f"The output folder {folder} holds an earlier run; add --force to replace it."
                )
            _clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()
    except OSError as error:
        raise DcfmError(f"The output folder {folder} cannot be written: {error.strerror}.") from error


def _clear(folder: Path) -> None:
    """Remove a run's files, and those of the runs inside."""
    for name in (*_OURS, _MARK):
        _remove(folder / name)
    runs = folder / RUNS
    for inner in [*runs.iterdir(), runs] if runs.is_dir() else []:
        if (inner / _MARK).exists():
            _clear(inner)
        if inner.is_dir() and not any(inner.iterdir()):
            inner.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
