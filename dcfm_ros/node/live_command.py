"""`dcfm replay --live`: a recording in real time over DDS into the real node, and what came out, in the same report.

This process needs no ROS: it starts the player, the node and the recorder, watches them, and makes the report from the
bag that was recorded. Frames keep their recorded stamps, as with `ros2 bag play`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.model import ModelCard, default_weights, load_model
from dcfm_ros.node.live_run import START_PATIENCE, Outcome, module_command, play, require_ros
from dcfm_ros.replay import machine
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.outputs import Outputs, prepare
from dcfm_ros.replay.recording import Arrivals, Topics, read_recording, read_sent
from dcfm_ros.replay.report import Report, write_report
from dcfm_ros.replay.run import Run
from dcfm_ros.replay.summary import summarise
from dcfm_ros.replay.text import summary_text
from dcfm_ros.replay.video_writer import VideoWriter

NAMESPACE = "/dcfm_replay"
NODE = "dcfm"
_SENT = "sent.csv"
_LATENCY = "From the moment an image is published to the moment its mask arrives, both measured outside the node, over DDS."
TOPICS = Topics(
    image=f"{NAMESPACE}/image",
    mask=f"{NAMESPACE}/segmentation/mask",
    timing=f"{NAMESPACE}/{NODE}/timing",
    label=f"{NAMESPACE}/label",
)


def run(job: Job, *, sim_time: bool, loop: int, parameters: Sequence[str]) -> int:
    """Play, record, report. Returns 0, or 130 after Ctrl-C (the report is written then, too).

    Args:
        sim_time: publish /clock, and let the node go by it.
        loop: how often to play; 0: until Ctrl-C.
        parameters: of the node, as NAME:=VALUE; they win over what the job says.
    """
    require_ros("`dcfm replay --live` runs", "make demo")
    card = load_model(job.weights or default_weights()).card
    outputs = prepare(job.folder, force=job.force)
    outputs.log.mkdir()
    settings = node_parameters(job, sim_time, parameters)
    outcome = play(
        recorder=_recorder_command(outputs),
        node=_node_command(settings),
        player=_player_command(job, outputs, sim_time, loop),
        outputs=outputs,
        doing="playing",
    )
    if not outputs.bag.is_dir() or (outcome.interrupted and outcome.sent == 0):
        raise KeyboardInterrupt
    report = _report(job, outputs, outcome, card, settings)
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


def _node_command(settings: dict[str, str]) -> list[str]:
    words = [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
    return [
        *module_command("main"),
        "--ros-args",
        "-r",
        f"__ns:={NAMESPACE}",
        "-r",
        f"__node:={NODE}",
        *words,
    ]


def _recorder_command(outputs: Outputs) -> list[str]:
    named = [word for name, topic in vars(TOPICS).items() for word in (f"--{name}", topic)]
    return [*module_command("demo_recorder"), str(outputs.bag.resolve()), *named]


def _player_command(job: Job, outputs: Outputs, sim_time: bool, loop: int) -> list[str]:
    command = [*module_command("demo_player"), str(job.input.resolve())]
    command += ["--image-topic", TOPICS.image, "--label-topic", TOPICS.label, "--listeners", "2"]
    command += ["--patience", str(START_PATIENCE), "--recorded-stamps", "--loop", str(loop)]
    command += ["--sent", str((outputs.log / _SENT).resolve())]
    labels = job.labels
    if labels is not None and Path(labels).exists():
        labels = str(Path(labels).resolve())
    for name, value in (("topic", job.topic), ("labels", labels), ("frames", job.frames), ("fps", job.rate)):
        if value is not None:
            command += [f"--{name}", str(value)]
    return [*command, "--clock"] if sim_time else command


def _report(
    job: Job, outputs: Outputs, outcome: Outcome, card: ModelCard, settings: dict[str, str]
) -> Report:
    """Everything from the recorded bag and the player's log: whoever reads them again finds the same numbers."""
    recorded = Topics(f"{TOPICS.image}/compressed", TOPICS.mask, TOPICS.timing, TOPICS.label)
    sent = read_sent(outputs.log / _SENT)
    video = VideoWriter(outputs.video, job.rate or outcome.rate or 15.0) if job.video else None
    with tqdm(total=len(sent), unit="frame", desc="reporting", dynamic_ncols=True, disable=None) as bar:
        found, arrived = read_recording(
            outputs.bag, recorded, card, video, bar.update, sent=sent, segment_s=job.segment_s
        )
    if video is not None:
        video.close()
    summary = summarise(found.records)
    facts = machine.describe()
    return Report(
        title="live replay",
        subject=f"{job.input}, played over DDS into the ROS 2 node on {facts.get('Processor', 'this machine')}.",
        latency_meaning=_LATENCY,
        rest_meaning="transport and waiting",
        classes=card.classes,
        colors=card.colors,
        summary=summary,
        records=found.records,
        pictures=found.pictures,
        confusion=found.confusion,
        consistency_windows=found.video_consistency(),
        labelled=found.labelled,
        interval_ms=1e3 / summary.frame_rate_in if summary.frame_rate_in else None,
        load=outcome.node_load,
        segments=found.segments(),
        notes=(*outcome.notes, *_notes(found)),
        settings={
            "Input": str(job.input),
            "Model": card.name,
            "Licence of the weights": card.licence,
            **settings,
        },
        machine=facts,
        files=_files(outputs, video),
        extra=_counts(arrived),
    )


def _files(outputs: Outputs, video: VideoWriter | None) -> dict[str, str]:
    files = {outputs.bag.name: "images, masks, labels and timing as they arrived"}
    if video is not None and video.path is not None:
        files = {video.path.name: "every frame with its mask as a video", **files}
    return files


def _notes(found: Run) -> tuple[str, ...]:
    return (
        *(f"{count} labels were not used: {why}" for why, count in found.label_problems.items()),
        *(f"{count} times the stream began anew: {why}" for why, count in found.breaks.items()),
    )


def _counts(arrived: Arrivals) -> dict[str, int]:
    return {"duplicates": arrived.duplicates, "out_of_order": arrived.out_of_order}
