"""A grid of settings as it is written on the command line, and the job of each of its points."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dcfm_ros.config import from_text
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.outputs import RUNS
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.trigger_grammar import OFF, parse_triggers


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
        for setting in combination:
            parts[setting.part] = dataclasses.replace(parts[setting.part], **setting.values)
        name = "_".join(re.sub(r"[^\w.+-]", "-", f"{s.axis}-{s.text}") for s in combination)
        variant = dataclasses.replace(job, **parts, folder=job.folder / RUNS / name)
        jobs.append(({setting.axis: setting.text for setting in combination}, variant))
    return jobs
