"""Runs a job: opens what goes in, replays it, and writes the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.labels import open_labels
from dcfm_ros.media.open_source import open_source
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.replay.clocks import make_clock
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.outputs import prepare
from dcfm_ros.replay.replayer import Replayer
from dcfm_ros.replay.report.page import write_report
from dcfm_ros.replay.report.report import Report


@dataclass(frozen=True)
class Done:
    """A finished replay. page: the report's path. interrupted: it was ended early."""

    report: Report
    page: Path
    interrupted: bool


def check_input(job: Job) -> None:
    """Refuse what cannot be played before anything is started or an earlier report is replaced.

    Raises:
        DcfmError: input, topic or labels are not there, or cannot be read.
    """
    with open_source(job.input, job.topic, rate=job.rate, labels=job.labels) as source:
        open_labels(source, job.labels)


def run_job(job: Job, stop: Callable[[], bool], *, quiet: bool = False) -> Done:
    """Replay, and write the report.

    Args:
        stop: asked before every frame; once true, the report covers what there is.
        quiet: without a progress bar.

    Raises:
        DcfmError: nothing could be segmented, or the output folder is not empty.
    """
    with open_source(job.input, job.topic, rate=job.rate, labels=job.labels) as source:
        if source.kind == "camera":
            raise DcfmError(
                f"{source.path} is a camera, which never ends; `dcfm demo {source.path}` plays it live."
            )
        if job.merge and not source.kind.startswith("rosbag"):
            raise DcfmError(
                f"--merge needs a bag; {source.path} is none, so that there are no messages to merge the masks with."
            )
        engine = create_engine(job.weights or default_weights(), job.engine)
        labels = open_labels(source, job.labels, engine.card.colors)
        prepare(job.folder, force=job.force)
        clock = make_clock(job.clock)
        with clock.stream(engine, job.stream) as stream:
            replayer = Replayer(job, source, labels, stream, clock)
            interrupted = replayer.run(stop, quiet=quiet)
            report = replayer.report()
    return Done(report, write_report(report, job.folder), interrupted)
