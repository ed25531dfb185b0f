"""Many recordings at once: on all cores of this machine, or on a cluster through Ray; one table over all."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.config import usable_cores
from dcfm_ros.errors import DcfmError, one_line
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.media.bag_files import is_bag
from dcfm_ros.media.source import image_files, natural_key
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.outputs import RUNS, prepare
from dcfm_ros.replay.pools import Pool
from dcfm_ros.replay.replayer import run_job
from dcfm_ros.replay.report.report import as_json

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v"})
_IMAGE_FOLDERS = ("image", "images")


@dataclass(frozen=True)
class Outcome:
    """The result of a recording, small enough to travel between machines."""

    name: str
    page: str  # its report, relative to the table's folder
    numbers: dict[str, Any] | None = None  # as in its results.json, None where there are none
    confusion: ConfusionMatrix | None = None  # of its labelled frames
    classes: tuple[str, ...] = ()  # their names, by id
    interrupted: bool = False
    problem: str = ""  # why it has no report, or why outputs are missing; "" else


def recordings_in(paths: Iterable[Path]) -> list[Path]:
    """The recordings named, and those in folders that are not recordings themselves, in natural order."""
    found: list[Path] = []
    for path in paths:
        inner = [path] if not path.is_dir() or is_recording(path) else sorted(path.iterdir(), key=natural_key)
        found += (
            [path]
            if inner == [path]
            else [entry for entry in inner if entry.name[0] != "." and is_recording(entry)]
        )
    return found


def is_recording(path: Path) -> bool:
    """Whether the path looks like one recording: a bag, a video or a folder of images."""
    if not path.exists() or (path / "metadata.yaml").exists():
        return path.exists()
    if path.is_file():
        return is_bag(path) or path.suffix.lower() in VIDEO_SUFFIXES
    if is_bag(path):  # unless it lies among other recordings
        return not any(file.suffix.lower() in VIDEO_SUFFIXES for file in path.iterdir())
    folders = [path, *(path / name for name in _IMAGE_FOLDERS if (path / name).is_dir())]
    return any(map(image_files, folders))


def jobs_for(job: Job, recordings: Sequence[Path], workers: int) -> list[Job]:
    """The job for each recording, with a folder of its own; `workers` share the cores."""
    engine = job.engine
    if not engine.threads:
        engine = dataclasses.replace(engine, threads=max(1, usable_cores() // workers))
    jobs, taken = [], set()
    for path in recordings:
        name = base = re.sub(r"[^\w.+-]", "-", path.stem if path.is_file() else path.name)
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        folder = job.folder / RUNS / name
        masks = (job.masks / name).resolve() if job.masks else None
        jobs.append(
            dataclasses.replace(
                job, input=path.resolve(), folder=folder.resolve(), masks=masks, engine=engine
            )
        )
    return jobs


def run_many(
    jobs: Sequence[Job], folder: Path, pool: Pool, stop: Callable[[], bool], *, force: bool
) -> list[Outcome]:
    """Replay all of them; one that cannot be replayed does not stop the others.

    stop: once true, running replays end early with a report, and no other starts.
    Raises DcfmError: the output folder is not empty, or cannot be written.
    """
    prepare(folder, force=force, read=[path for job in jobs for path in job.read])
    outcomes: dict[int, Outcome] = {}
    with tqdm(total=len(jobs), unit="bag", desc="replaying", dynamic_ncols=True, disable=None) as bar:
        for index, outcome in pool.map(replay_one, jobs, stop):
            outcomes[index] = outcome
            bar.update()
    return [outcomes[index] for index in sorted(outcomes)]


def replay_one(job: Job, stop: Callable[[], bool]) -> Outcome:
    """Replay a recording in whatever process this is; an error that a user can act on becomes part of the outcome."""
    page = f"{RUNS}/{job.folder.name}/index.html"
    try:
        done = run_job(job, stop, quiet=True)
    except DcfmError as error:
        return Outcome(job.folder.name, "", problem=str(error))
    except Exception as error:  # of a library that cannot cope with it: the others are worth their rows
        return Outcome(job.folder.name, "", problem=one_line(f"{type(error).__name__}: {error}"))
    except KeyboardInterrupt:
        return Outcome(job.folder.name, "", interrupted=True, problem="interrupted before its first frame")
    report = done.report
    return Outcome(
        job.folder.name,
        page,
        as_json(report),
        report.run.confusion,
        report.run.card.classes,
        done.interrupted,
        "; ".join(done.failed),
    )
