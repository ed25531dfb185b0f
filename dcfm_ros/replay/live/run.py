"""A live run: player, node and recorder in processes of their own, from their start to the recorded bag.

This process needs no ROS: it starts the others, watches them, and ends them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.errors import DcfmError, say
from dcfm_ros.measure.machine import LoadSample, OthersLoad
from dcfm_ros.measure.table import reasons
from dcfm_ros.replay.live.processes import Child, ChildProcesses, ProcessMeter, child_environment
from dcfm_ros.replay.live.recorded import Topics
from dcfm_ros.replay.outputs import BAG, LOG
from dcfm_ros.share import share_path

_NODE = "dcfm"
_START_PATIENCE = 300.0  # an engine that is built for the first time takes minutes
_LISTENERS = 2  # the player waits for node and recorder
_FINISH_PATIENCE = 30.0
# DDS tells one side of a pair before the other: the player may know of the node while the node does not know of it yet,
# and what is sent then is lost.
_SETTLE_S = 0.5


@dataclass
class LiveRun:
    """What is known of a live run besides its bag."""

    rate: float | None = None
    published: int | None = None  # frames, by the player; None where it was ended before it told
    recorded: int = 0  # images, by the recorder
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # what of the input was not played, and why
    interrupted: bool = False
    node_load: list[LoadSample] = field(default_factory=list)
    others_cores: float | None = None


def require_ros(what: str, command: str) -> None:
    """Check that a ROS 2 graph can run here, before anything else happens.

    what: subject and verb of the sentence, "The demo runs". command: what sets everything up.
    Raises DcfmError: no ROS 2 Python client here, or this package's messages have not been built.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise DcfmError(
            f"{what} a ROS 2 graph, and this Python has no `rclpy`. Run `{command}` in the project's folder (it sets ROS 2 "
            f"up in a virtual environment, no root needed), or source a ROS 2 installation first. Without ROS, "
            f"`dcfm replay INPUT` segments a bag, a video or a folder of images."
        )
    if importlib.util.find_spec("dcfm_ros.msg") is None:
        raise DcfmError(
            f"{what} a ROS 2 graph with this package's messages, which have not been built or not been sourced. Run "
            f"`{command}` in the project's folder, or `colcon build` in your workspace and `. install/setup.sh`."
        )


def topics_in(namespace: str) -> Topics:
    """The topics of player, node and recorder below one namespace."""
    return Topics(
        image=f"{namespace}/image",
        mask=f"{namespace}/segmentation/mask",
        timing=f"{namespace}/{_NODE}/timing",
        label=f"{namespace}/label",
        diagnostics="/diagnostics",
    )


def recorded_topics(namespace: str) -> Topics:
    """What the recorder's bag holds: images are compressed."""
    topics = topics_in(namespace)
    return dataclasses.replace(topics, image=f"{topics.image}/compressed")


def play(
    namespace: str, folder: Path, parameters: Mapping[str, str], played: Path, options: Mapping[str, Any]
) -> LiveRun:
    """Run the graph until everything is played and recorded, Ctrl-C, SIGTERM, or an error in any process.

    namespace: where topics and node are. folder: of the run; its log folder exists. parameters: of the node.
    played, options: what is played, and how: options of the player by name; None and False are left out.
    Raises DcfmError: a process ended unexpectedly; KeyboardInterrupt: before anything was recorded.
    """
    topics = topics_in(namespace)
    recorder = [*_module("harness.recorder"), str((folder / BAG).resolve()), *_options(vars(topics))]
    names = ["-r", f"__ns:={namespace}", "-r", f"__node:={_NODE}"]
    values = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    node = [*_module("main"), "--ros-args", *names, *values]
    ours = {"image-topic": topics.image, "label-topic": topics.label}
    waiting = {"listeners": _LISTENERS, "patience": _START_PATIENCE}
    player = [*_module("harness.player"), str(played), *_options({**ours, **waiting, **options})]
    outcome = LiveRun()
    with _sigterm_as_ctrl_c(), ChildProcesses() as children:
        listener = children.add(_child("recorder", recorder, folder))
        segmenter = children.add(_child("node", node, folder, sends_events=False))
        source = children.add(_child("player", player, folder))
        meter, others = ProcessMeter(segmenter.pid), OthersLoad()
        try:
            _live(children, segmenter, source, listener, outcome, meter.begin)
        except KeyboardInterrupt:
            outcome.interrupted = True
            outcome.notes.append(
                "interrupted by Ctrl-C or SIGTERM: the report covers what was played until then"
            )
        finally:
            meter.end()
            outcome.others_cores = others.cores()
        outcome.node_load = meter.samples
        source.send("end")
        listener.send("finish")
        listener.wait(_FINISH_PATIENCE)
        segmenter.interrupt()
        _tell(source, outcome)
    if not (folder / BAG).is_dir() or (outcome.interrupted and outcome.recorded == 0):
        raise KeyboardInterrupt
    return outcome


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Whoever ends the run (such as a launch) gets the report of what was played until then."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _child(name: str, command: list[str], folder: Path, *, sends_events: bool = True) -> Child:
    # The log folder is the working directory: `python -m` looks there first, and must not find a source tree.
    return Child(
        name,
        command,
        log=folder / LOG / f"{name}.log",
        env=child_environment(share_path("config", "fastdds.xml")),
        cwd=folder / LOG,
        sends_events=sends_events,
    )


def _live(
    children: ChildProcesses,
    node: Child,
    player: Child,
    recorder: Child,
    outcome: LiveRun,
    begins: Callable[[], None],
) -> None:
    """The run itself: wait for discovery, start, show progress, wait for the last mask. `begins` is called at the start."""

    def matched() -> bool:
        for line in node.new_log_lines():
            say(f"  node: {line}", file=sys.stderr)
        return "matched" in player.events and "matched" in recorder.events

    say("starting node, recorder and player ...", file=sys.stderr)
    children.until(
        matched, seconds=_START_PATIENCE, waiting_for="node, player and recorder to find each other over DDS"
    )
    time.sleep(_SETTLE_S)
    begins()
    player.send("go")
    expected, outcome.rate = player.events["ready"]["length"], player.events["ready"]["rate"]
    with tqdm(total=expected, unit="frame", desc="playing", dynamic_ncols=True, disable=None) as bar:

        def played() -> bool:
            progress = recorder.events.get("progress", {})
            outcome.recorded = progress.get("images", 0)
            bar.update(outcome.recorded - bar.n)
            latency = progress.get("latency_ms", math.nan)
            if not math.isnan(latency):
                bar.set_postfix(masks=progress["masks"], latency=f"{latency:.0f} ms", refresh=False)
            return "done" in player.events

        children.until(played, seconds=math.inf, waiting_for="the end of the input")
        recorder.send("finish")
        children.until(
            lambda: played() and "done" in recorder.events,
            seconds=_FINISH_PATIENCE,
            waiting_for="the recorder to finish",
            may_end=(recorder,),
        )


def _tell(player: Child, outcome: LiveRun) -> None:
    """What the report must mention of what was played."""
    done = player.events.get("done", {"skipped": {}, "labels": {}, "problem": "", "remark": ""})
    outcome.published = done.get("sent")
    outcome.failed += [*reasons("image", "not used", done["skipped"]), *filter(None, [done["problem"]])]
    unused = reasons("label", "not used", done["labels"])
    outcome.notes += [*outcome.failed, *unused, *filter(None, [done["remark"]])]


def _options(options: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        values = () if value is True else value if isinstance(value, tuple) else (value,)
        words += [f"--{name}", *map(str, values)]
    return words


def _module(name: str) -> list[str]:
    """What runs a module of `node/` as a process of its own."""
    return [sys.executable, "-m", f"dcfm_ros.node.{name}"]
