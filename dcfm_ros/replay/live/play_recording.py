"""`dcfm replay --live`: a recording in real time over DDS into the real node, and what came out, in the same report.

This process needs no ROS: it starts the player, the node and the recorder, watches them, and makes the report from the
bag that was recorded. Frames keep their recorded stamps, as with `ros2 bag play`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.node.topics import REPLAY
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.live.graph import Graph
from dcfm_ros.replay.live.recorded import read_sent
from dcfm_ros.replay.live.report import live_report
from dcfm_ros.replay.live.run import play, require_ros
from dcfm_ros.replay.outputs import Outputs, prepare
from dcfm_ros.replay.report.page import write_report
from dcfm_ros.replay.run_job import check_input
from dcfm_ros.replay.text import summary_text

GRAPH = Graph(REPLAY)
_SENT = "sent.csv"


def play_recording(job: Job, *, sim_time: bool, loop: int, parameters: Sequence[str]) -> int:
    """Play, record, report. Returns 0, or 130 after Ctrl-C (the report is written then, too).

    Args:
        sim_time: publish /clock, and let the node go by it.
        loop: how often to play; 0: until Ctrl-C.
        parameters: of the node, as NAME:=VALUE; they win over what the job says.
    """
    require_ros("`dcfm replay --live` runs", "make demo")
    check_input(job)
    card = load_model(job.weights or default_weights()).card
    outputs = prepare(job.folder, force=job.force)
    outputs.log.mkdir()
    settings = node_parameters(job, sim_time, parameters)
    outcome = play(
        recorder=GRAPH.recorder(outputs.bag),
        node=GRAPH.node([f"{name}:={value}" for name, value in settings.items()]),
        player=_player(job, outputs, sim_time, loop),
        outputs=outputs,
        doing="playing",
    )
    report = live_report(
        GRAPH,
        outputs,
        outcome,
        card,
        title="live replay",
        played=str(job.input),
        settings=settings,
        rate=job.rate,
        with_video=job.video,
        sent=read_sent(outputs.log / _SENT),
        span_s=job.span_s,
    )
    print(summary_text(report))
    print(f"\n  open {write_report(report, outputs.folder)}")
    return 130 if outcome.interrupted else 0


def node_parameters(job: Job, sim_time: bool, given: Sequence[str]) -> dict[str, str]:
    """Name -> value, as the node's command line takes them: what the job has set, then what was given by name."""
    values: dict[str, Any] = {}
    for config in (job.stream, job.engine):
        for item in fields(config):
            if item.name != "phase" and getattr(config, item.name) != item.default:
                values[item.name] = getattr(config, item.name)
    if job.weights is not None:
        values["weights"] = job.weights.resolve()
    if sim_time:
        values["use_sim_time"] = True
    texts = {name: _text(name, value) for name, value in values.items()}
    return texts | dict(entry.partition(":=")[::2] for entry in given)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        # A mask's size is a text, since it may also be a word.
        return "x".join(map(str, value)) if name == "mask_size" else str(list(value))
    return str(value)


def _player(job: Job, outputs: Outputs, sim_time: bool, loop: int) -> list[str]:
    labels = job.labels
    if labels is not None and Path(labels).exists():
        labels = str(Path(labels).resolve())
    options = {
        "topic": job.topic,
        "labels": labels,
        "frames": job.frames,
        "fps": job.rate,
        "loop": loop,
        "sent": (outputs.log / _SENT).resolve(),
    }
    flags = ["--recorded-stamps", *(["--clock"] if sim_time else [])]
    return GRAPH.player(job.input.resolve(), options, *flags)
