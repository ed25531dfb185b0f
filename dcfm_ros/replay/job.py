"""One replay as a value: what goes in, how, and what comes out; and a grid of settings as the jobs of its points."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dcfm_ros.cache import file_digest
from dcfm_ros.config import check, from_text, setting
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_writer import STORAGES
from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import Source
from dcfm_ros.model.shipped import weights_path
from dcfm_ros.replay.outputs import RUNS
from dcfm_ros.replay.summary import DEFAULT_SPAN_S
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.trigger_grammar import OFF, parse_triggers

CLOCKS = ("fast", "robot")


@dataclass(frozen=True)
class Job:
    """Everything a replay needs, in a form that can be sent to other processes and machines.

    input: bag, video or folder of images. folder: where the report goes. topic, labels: as for `open_source` and
    `open_labels`. grouped_labels: these are of the groups in `engine.classes_file`, not of the classes of the weights.
    Raises DcfmError: a value that makes no sense, or a mode whose outcome the clock cannot know.
    """

    input: Path
    folder: Path
    stream: StreamConfig
    engine: EngineConfig = field(default_factory=EngineConfig)
    weights: Path | None = setting(
        None, "model by name (`dcfm models`), or weights file (default: the first of these)"
    )
    topic: str | None = setting(None, "image topic of a bag with several")
    labels: str | None = setting(
        None, "ground truth: a label topic of the bag, BAG:TOPIC of another bag, or a folder of label images"
    )
    odometry: str | None = setting(
        None, "topic of the bag's nav_msgs/Odometry, for triggers on it (default: the only one there is)"
    )
    frames: int | None = setting(None, "stop after this many frames (default: all)", 1)
    rate: float | None = setting(
        None,
        "Hz: frames per second of a folder of images (default: 15), and the camera rate that a sweep recommends for "
        "(default: as recorded)",
        0.001,
        1000,
    )
    clock: str = setting(
        "fast",
        "fast: every frame, as fast as possible; robot (a sweep's default): simulated real time on the recorded stamps, in "
        "which frames are dropped as the node would drop them on this machine",
        choices=CLOCKS,
    )
    budget_ms: float | None = setting(
        None,
        "latency above this is a warning in the diagnostics (default: 200); what a sweep recommends keeps it in 95 % of "
        "the frames (default: the time between two frames)",
        0.1,
    )
    span: float = setting(
        DEFAULT_SPAN_S, "seconds: length of the time spans that are reported separately", 0.1
    )
    bag: bool = setting(True, "write the bag of masks")
    video: bool = setting(True, "write the overlay video")
    masks: Path | None = setting(
        None,
        "folder for the masks as PNG files: pixel = class id, in the classes' colours, with classes.yaml beside them",
    )
    merge: bool = setting(False, "put all messages of the input into the bag, too")
    storage: str = setting("mcap", "of the bag of masks", choices=sorted(STORAGES))
    confidence: bool | None = setting(
        None,
        "compute the confidence of every pixel (default: yes; with --clock robot no, as in the node while nobody "
        "subscribes to it)",
    )
    force: bool = setting(False, "replace an earlier run in the report's folder")
    grouped_labels: bool = False

    def __post_init__(self) -> None:
        check(self)
        if self.clock == "fast" and self.stream.mode != "inline":
            raise DcfmError(
                f"mode {self.stream.mode} needs --clock robot: with --clock fast, masks would depend on how fast this "
                f"machine is."
            )
        if self.merge and not self.bag:
            raise DcfmError(
                "--merge puts the input's messages into the bag that --no-bag leaves out; drop one of them"
            )

    @property
    def read(self) -> list[Path]:
        """The files and folders that the replay reads, of those that are there."""
        named = [self.labels, self.labels.rpartition(":")[0]] if self.labels else []
        named.append(self.engine.classes_file)
        paths = [self.input, weights_path(self.weights), *(Path(text) for text in named if text)]
        return [path for path in paths if path.exists()]

    def source(self) -> Source:
        """What is replayed, opened. Raises DcfmError where it, or a topic of it, cannot be read."""
        odometry = (self.odometry or "") if self.stream.wants_odometry else None
        return open_source(self.input, self.topic, rate=self.rate, labels=self.labels, odometry=odometry)

    @property
    def weights_in_words(self) -> str:
        """The file's name, and what tells it from another of that name."""
        path = weights_path(self.weights)
        return f"{path.name}, SHA-256 {file_digest(path)[:12]}"

    @property
    def with_confidence(self) -> bool:
        """Whether it is computed: where nothing is said, only where that does not disturb the measurement."""
        return self.clock == "fast" if self.confidence is None else self.confidence


def node_parameters(job: Job, always: Collection[str] = ()) -> dict[str, str]:
    """What the job has set, and what is `always` said, by name, as the node's command line takes it."""
    values: dict[str, Any] = {
        item.name: getattr(config, item.name)
        for config in (job.stream, job.engine)
        for item in fields(config)
        if item.name in always or (item.name != "phase" and getattr(config, item.name) != item.default)
    }
    if "classes_file" in values:
        values["classes_file"] = str(Path(values["classes_file"]).resolve())
    if job.weights is not None:
        values["weights"] = weights_path(job.weights).resolve()
    return {name: _text(name, value) for name, value in values.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        # A mask's size is a text, since it may also be a word.
        return "x".join(map(str, value)) if name == "mask_size" else str(list(value))
    return str(value)


@dataclass(frozen=True)
class Setting:
    """One value of one axis of the grid, as it was written, and what it changes in which part of a job."""

    axis: str
    text: str
    part: str
    values: dict[str, Any]


def parse(words: Sequence[str]) -> list[list[Setting]]:
    """`trigger=interval:5,motion:0.1 size=480x360,640x480` as one list of settings per axis.

    Axes are `trigger` (see `stream.trigger_grammar`; triggers that a value does not name are off), `size` and every
    setting of stream and engine by name.
    Raises DcfmError: an axis or a value that does not exist.
    """
    axes = []
    for word in words:
        name, equals, values = word.partition("=")
        if not equals or not values:
            raise DcfmError(f"--sweep {word}: expected NAME=VALUE,VALUE, as in trigger=interval:5,motion:0.1")
        axes.append([_setting(name, value) for value in values.split(",")])
    names = [axis[0].axis for axis in axes]
    if len(set(names)) < len(names):
        raise DcfmError(f"--sweep names an axis twice: {', '.join(names)}")
    return axes


def _setting(axis: str, text: str) -> Setting:
    if axis == "trigger":
        return Setting(axis, text, "stream", OFF | parse_triggers(text))
    name = "input_size" if axis == "size" else axis.replace("-", "_")
    known = ["trigger", "size"]
    for part, config in (("stream", StreamConfig), ("engine", EngineConfig)):
        names = [item.name for item in dataclasses.fields(config)]
        if name in names:
            return Setting(axis, text, part, {name: from_text(config, name, text, f"--sweep {axis}")})
        known += names
    raise DcfmError(f"--sweep knows no axis '{axis}'; known: {', '.join(known)}")


def variants(job: Job, axes: Sequence[Sequence[Setting]]) -> list[tuple[dict[str, str], Job]]:
    """Every combination of settings as (axis -> value, job); the reports go into folders of their own.

    Raises DcfmError: a value that stream or engine refuse.
    """
    jobs = []
    for combination in itertools.product(*axes):
        parts: dict[str, Any] = {"stream": job.stream, "engine": job.engine}
        for chosen in combination:
            parts[chosen.part] = dataclasses.replace(parts[chosen.part], **chosen.values)
        name = "_".join(re.sub(r"[^\w.+-]", "-", f"{s.axis}-{s.text}") for s in combination)
        variant = dataclasses.replace(job, **parts, folder=job.folder / RUNS / name)
        jobs.append(({chosen.axis: chosen.text for chosen in combination}, variant))
    return jobs
