"""`dcfm demo`: a drive through a real ROS 2 graph into the real node, in processes of their own, and what came out.

This process needs no ROS: it starts the player, the node and the recorder, watches them, and makes the report from the
bag that was recorded.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dcfm_ros.errors import DcfmError
from dcfm_ros.model import ModelCard
from dcfm_ros.node.demo_drive import IMAGE_TOPIC, LABEL_TOPIC, Drive, rendered
from dcfm_ros.node.demo_processes import Child, Crew, child_environment
from dcfm_ros.replay import machine
from dcfm_ros.replay.outputs import Outputs, prepare
from dcfm_ros.replay.recording import Arrivals, Topics, read_recording
from dcfm_ros.replay.report import Report, write_report
from dcfm_ros.replay.run import Run
from dcfm_ros.replay.summary import summarise
from dcfm_ros.replay.text import summary_text
from dcfm_ros.replay.video_writer import VideoWriter
from dcfm_ros.share import share_path

NAMESPACE = "/dcfm_demo"
NODE = "dcfm"
DRIVE_SECONDS = 20.0
_START_PATIENCE = 60.0
_FINISH_PATIENCE = 30.0
_LATENCY = (
    "From the moment an image is published to the moment its mask arrives, both measured outside the node."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "input",
        nargs="?",
        help="video, bag, folder of images or camera (/dev/video0); default: a synthetic street drive",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo_out"), help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--frames", type=_positive, help="stop after this many frames (default: all; drive: 20 seconds)"
    )
    parser.add_argument("--fps", type=float, help="frames per second (default: as recorded; drive: 15)")
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="image size (default: as recorded; drive: 480x360)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which synthetic drive (default: %(default)s)")
    parser.add_argument("--topic", help="image topic of a bag with several")
    parser.add_argument("--labels", help="label topic of the bag, or folder of label images, to measure mIoU")
    parser.add_argument(
        "--weights", type=Path, help="weights file (default: the model that comes with the package)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="a parameter of the node; may be repeated",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, like 640x480") from None
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise argparse.ArgumentTypeError(f"{text}: width and height are 16 to 8192 pixels")
    return width, height


@dataclass(frozen=True)
class Input:
    """What the player plays."""

    path: Path
    topic: str | None
    labels: str | None
    words: str


@dataclass
class Outcome:
    """How the live part of a run went."""

    rate: float | None = None
    sent: int = 0
    notes: tuple[str, ...] = ()
    interrupted: bool = False


def run(args: argparse.Namespace) -> int:
    """Play, record, report. Returns 0, or 130 after Ctrl-C (the report is written then, too)."""
    _require_ros()
    if args.fps is not None and not 0 < args.fps <= 1000:
        raise DcfmError(f"--fps is frames per second in (0, 1000], not {args.fps:g}.")
    card = _card(args.weights)
    played = _input(args)
    outputs = prepare(args.output, force=True)
    outputs.log.mkdir()
    outcome = _play(args, played, outputs)
    if not outputs.bag.is_dir() or (outcome.interrupted and outcome.sent == 0):
        raise KeyboardInterrupt
    report = _report(args, played, outputs, outcome, card)
    print(summary_text(report))
    print(f"\n  open {write_report(report, outputs.folder)}")
    for name, what in report.files.items():
        print(f"       {outputs.folder / name}: {what}")
    return 130 if outcome.interrupted else 0


def _require_ros() -> None:
    """The demo is a ROS 2 graph: say what is missing before anything else happens.

    Raises:
        DcfmError: no ROS 2 Python client here, or this package's messages have not been built.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise DcfmError(
            "The demo runs a ROS 2 graph, and this Python has no `rclpy`. Run `make demo` in the project's folder (it "
            "sets ROS 2 up in a virtual environment, no root needed), or source a ROS 2 installation first. Without "
            "ROS, `dcfm replay INPUT` segments a bag, a video or a folder of images."
        )
    if importlib.util.find_spec("dcfm_ros.msg") is None:
        raise DcfmError(
            "The demo needs this package's ROS messages, which have not been built or not been sourced. Run `make demo` "
            "in the project's folder, or `colcon build` in your workspace and `. install/setup.sh`."
        )


def _card(weights: Path | None) -> ModelCard:
    from dcfm_ros.model import default_weights, load_model

    return load_model(weights or default_weights()).card


def _input(args: argparse.Namespace) -> Input:
    if args.input is not None:
        path = Path(args.input)
        place = path if str(path).startswith("/dev/") else path.resolve()
        return Input(place, args.topic, args.labels, path.name or str(path))
    fps = args.fps or 15.0
    drive = Drive(args.seed, args.size or (480, 360), fps, args.frames or max(1, round(DRIVE_SECONDS * fps)))
    return Input(rendered(drive).resolve(), IMAGE_TOPIC, LABEL_TOPIC, drive.words)


def _topics() -> Topics:
    return Topics(
        image=f"{NAMESPACE}/image",
        mask=f"{NAMESPACE}/segmentation/mask",
        timing=f"{NAMESPACE}/{NODE}/timing",
        label=f"{NAMESPACE}/label",
    )


def _play(args: argparse.Namespace, played: Input, outputs: Outputs) -> Outcome:
    """Run the graph until everything is played and recorded, Ctrl-C, or an error in any process."""
    outcome = Outcome()
    with Crew() as crew:
        recorder = crew.add(_child("recorder", _recorder_command(outputs), outputs))
        node = crew.add(_child("node", _node_command(args), outputs, talks=False))
        player = crew.add(_child("player", _player_command(args, played), outputs))
        try:
            _live(crew, player, recorder, outcome)
        except KeyboardInterrupt:
            outcome.interrupted = True
            outcome.notes += ("interrupted by Ctrl-C: the report covers what was played until then",)
        player.tell("end")
        recorder.tell("finish")
        recorder.wait(_FINISH_PATIENCE)
        node.interrupt()
        for event in _drain(player):
            _note(event, outcome)
    return outcome


def _child(name: str, command: list[str], outputs: Outputs, *, talks: bool = True) -> Child:
    # The log folder is the working directory: `python -m` looks there first, and must not find a source tree.
    return Child(
        name,
        command,
        log=outputs.log / f"{name}.log",
        env=child_environment(share_path("config", "fastdds.xml")),
        cwd=outputs.log,
        talks=talks,
    )


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"dcfm_ros.node.{name}"]


def _recorder_command(outputs: Outputs) -> list[str]:
    topics = _topics()
    named = [word for name, topic in vars(topics).items() for word in (f"--{name}", topic)]
    return [*_module("demo_recorder"), str(outputs.bag.resolve()), *named]


def _node_command(args: argparse.Namespace) -> list[str]:
    parameters = [f"weights:={args.weights.resolve()}"] if args.weights else []
    words = [word for value in (*parameters, *args.set) for word in ("-p", value)]
    return [*_module("main"), "--ros-args", "-r", f"__ns:={NAMESPACE}", "-r", f"__node:={NODE}", *words]


def _player_command(args: argparse.Namespace, played: Input) -> list[str]:
    topics = _topics()
    command = [
        *_module("demo_player"),
        str(played.path),
        "--image-topic",
        topics.image,
        "--label-topic",
        topics.label,
    ]
    command += ["--listeners", "2", "--patience", str(_START_PATIENCE)]
    for name, value in (
        ("topic", played.topic),
        ("labels", played.labels),
        ("frames", args.frames),
        ("fps", args.fps),
    ):
        if value is not None:
            command += [f"--{name}", str(value)]
    if args.size:
        command += ["--size", *map(str, args.size)]
    return command


def _live(crew: Crew, player: Child, recorder: Child, outcome: Outcome) -> None:
    """The run itself: wait for discovery, start, show progress, wait for the last mask."""
    seen: dict[str, dict[str, Any]] = {}

    def arrived(child: Child, name: str) -> bool:
        for event in _drain(child):
            seen[f"{child.name} {event['event']}"] = event
            _note(event, outcome)
        return f"{child.name} {name}" in seen

    print("starting node, recorder and player ...", file=sys.stderr)
    crew.until(
        lambda: arrived(player, "matched") & arrived(recorder, "matched"),
        seconds=_START_PATIENCE,
        waiting_for="node, player and recorder to find each other over DDS",
    )
    player.tell("go")
    expected = seen["player ready"]["length"]
    outcome.rate = seen["player ready"]["rate"]
    with tqdm(total=expected, unit="frame", desc="driving", dynamic_ncols=True, disable=None) as bar:

        def finished() -> bool:
            done = arrived(player, "done")
            arrived(recorder, "done")
            progress = seen.get("recorder progress", {})
            outcome.sent = progress.get("images", 0)
            bar.update(outcome.sent - bar.n)
            latency = progress.get("latency_ms", math.nan)
            if not math.isnan(latency):
                bar.set_postfix(masks=progress["masks"], latency=f"{latency:.0f} ms", refresh=False)
            return done

        crew.until(finished, seconds=math.inf, waiting_for="the end of the input")
        recorder.tell("finish")
        crew.until(
            lambda: finished() and arrived(recorder, "done"),
            seconds=_FINISH_PATIENCE,
            waiting_for="the recorder to finish",
            may_end=(recorder,),
        )


def _drain(child: Child) -> list[dict[str, Any]]:
    events = []
    while not child.events.empty():
        events.append(child.events.get())
    return events


def _note(event: dict[str, Any], outcome: Outcome) -> None:
    """Take from an event what the report must tell; an error ends the run."""
    if event["event"] == "error":
        raise DcfmError(event["message"])
    if event["event"] == "done" and "sent" in event:
        outcome.notes += tuple(
            f"{count} images could not be used: {why}" for why, count in event["skipped"].items()
        )
        if event["problem"]:
            outcome.notes += (event["problem"],)


def _report(
    args: argparse.Namespace, played: Input, outputs: Outputs, outcome: Outcome, card: ModelCard
) -> Report:
    """Everything from the recorded bag: whoever reads the bag again finds the same numbers."""
    topics = _topics()
    recorded = Topics(f"{topics.image}/compressed", topics.mask, topics.timing, topics.label)
    video = VideoWriter(outputs.video, args.fps or outcome.rate or 15.0)
    with tqdm(
        total=outcome.sent or None, unit="frame", desc="reporting", dynamic_ncols=True, disable=None
    ) as bar:
        found, arrived = read_recording(outputs.bag, recorded, card, video, bar.update)
    video.close()
    summary = summarise(found.records)
    files = {
        outputs.bag.name: "images, masks, labels and timing: open it in Foxglove, or play it with `ros2 bag play`"
    }
    if video.path is not None:
        files = {video.path.name: "every frame with its mask as a video", **files}
    return Report(
        title="demo",
        subject=f"{played.words}, played over DDS into the ROS 2 node on {machine.describe().get('Processor', '')}.",
        latency_meaning=_LATENCY,
        classes=card.classes,
        colors=card.colors,
        summary=summary,
        records=found.records,
        pictures=found.pictures,
        confusion=found.confusion,
        consistency_windows=found.video_consistency(),
        labelled=found.labelled,
        interval_ms=1e3 / summary.frame_rate_in if summary.frame_rate_in else None,
        notes=(*outcome.notes, *_label_notes(found)),
        settings=_settings(args, played, card),
        machine=machine.describe(),
        files=files,
        extra=_counts(arrived),
    )


def _label_notes(found: Run) -> tuple[str, ...]:
    return tuple(f"{count} labels were not used: {why}" for why, count in found.label_problems.items())


def _counts(arrived: Arrivals) -> dict[str, int]:
    return {"duplicates": arrived.duplicates, "out_of_order": arrived.out_of_order}


def _settings(args: argparse.Namespace, played: Input, card: ModelCard) -> dict[str, str]:
    settings = {"Input": played.words, "Model": card.name, "Licence of the weights": card.licence}
    settings |= {name: value for name, _, value in (entry.partition(":=") for entry in args.set)}
    return settings
