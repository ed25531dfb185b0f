"""One replay as a value: what goes in, how, and what shall come out. Sweeps and folders of bags are many of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dcfm_ros.engines import EngineConfig, create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.model import default_weights
from dcfm_ros.replay.clocks import make_clock
from dcfm_ros.replay.labels import open_labels
from dcfm_ros.replay.outputs import prepare
from dcfm_ros.replay.replayer import Replayer
from dcfm_ros.replay.report import Report, write_report
from dcfm_ros.replay.segments import DEFAULT_SECONDS
from dcfm_ros.replay.sources import open_source
from dcfm_ros.stream import StreamConfig


@dataclass(frozen=True)
class Job:
    """Everything a replay needs, in a form that other processes and machines can be given.

    input: bag, video or folder of images. folder: where the report goes. topic, labels: as for `open_source` and
    `open_labels`. frames: stop after so many. rate: of a folder of images, Hz. clock: "fast" or "robot". bag, video:
    whether to write them. storage: of the bag. merge: the input's messages go into the bag, too. confidence: whether
    it is computed; None: only where it does not disturb the measurement. budget_ms: latency that is a warning.
    segment_s: length of the stretches with numbers of their own. force: replace a former run.

    Raises:
        DcfmError: a mode whose outcome the clock cannot know.
    """

    input: Path
    folder: Path
    stream: StreamConfig
    engine: EngineConfig = field(default_factory=EngineConfig)
    weights: Path | None = None
    topic: str | None = None
    labels: str | None = None
    frames: int | None = None
    rate: float | None = None
    clock: str = "fast"
    bag: bool = True
    video: bool = True
    storage: str = "mcap"
    merge: bool = False
    confidence: bool | None = None
    budget_ms: float = 200.0
    segment_s: float = DEFAULT_SECONDS
    force: bool = False

    def __post_init__(self) -> None:
        if self.clock == "fast" and self.stream.mode != "inline":
            raise DcfmError(
                f"mode {self.stream.mode} needs --clock robot: as fast as possible, masks would depend on how fast this "
                f"machine is."
            )

    @property
    def with_confidence(self) -> bool:
        return self.clock == "fast" if self.confidence is None else self.confidence


@dataclass(frozen=True)
class Done:
    """A finished replay. page: the report's path. interrupted: it was ended early."""

    report: Report
    page: Path
    interrupted: bool


def check_input(job: Job) -> None:
    """Tell what cannot be played before anything is started, or a former run's report replaced.

    Raises:
        DcfmError: input, topic or labels are not there, or cannot be read.
    """
    with open_source(job.input, job.topic, rate=job.rate, labels=job.labels) as source:
        open_labels(source, job.labels)


def run_job(job: Job, stop: Callable[[], bool], *, quiet: bool = False) -> Done:
    """Replay, and write the report.

    Args:
        stop: asked before every frame; once true, the report is made of what there is.
        quiet: without a progress bar.

    Raises:
        DcfmError: nothing could be segmented, or the output is in the way.
    """
    with open_source(job.input, job.topic, rate=job.rate, labels=job.labels) as source:
        if source.kind == "camera":
            raise DcfmError(
                f"{source.path} is a camera and never ends; `dcfm demo {source.path}` plays it live."
            )
        if job.merge and not source.kind.startswith("rosbag"):
            raise DcfmError(f"{source.path} is no bag: there are no messages to merge the masks with.")
        labels = open_labels(source, job.labels)
        engine = create_engine(job.weights or default_weights(), job.engine)
        outputs = prepare(job.folder, force=job.force)
        clock = make_clock(job.clock)
        with clock.stream(engine, job.stream) as stream:
            replayer = Replayer(job, source, labels, stream, clock, outputs)
            interrupted = replayer.run(stop, quiet=quiet)
            report = replayer.report()
    return Done(report, write_report(report, outputs.folder), interrupted)
