"""`dcfm demo`: a drive through a real ROS 2 graph into the real node, in processes of their own, and what came out.

This process needs no ROS: it starts the player, the node and the recorder, watches them, and makes the report from the
bag that was recorded.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.demo_drive import IMAGE_TOPIC, LABEL_TOPIC, Drive, rendered
from dcfm_ros.node.live_run import START_PATIENCE, Outcome, module_command, play, require_ros
from dcfm_ros.replay import machine
from dcfm_ros.replay.labels import open_labels
from dcfm_ros.replay.outputs import Outputs, prepare
from dcfm_ros.replay.recording import Arrivals, Topics, read_recording
from dcfm_ros.replay.report import Report, write_report
from dcfm_ros.replay.run import Run
from dcfm_ros.replay.sources import open_source
from dcfm_ros.replay.summary import summarise
from dcfm_ros.replay.text import summary_text
from dcfm_ros.replay.video_writer import VideoWriter

if TYPE_CHECKING:
    from dcfm_ros.model import ModelCard

NAMESPACE = "/dcfm_demo"
NODE = "dcfm"
DRIVE_SECONDS = 20.0
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


def run(args: argparse.Namespace) -> int:
    """Play, record, report. Returns 0, or 130 after Ctrl-C (the report is written then, too)."""
    require_ros("The demo runs", "make demo")
    if args.fps is not None and not 0 < args.fps <= 1000:
        raise DcfmError(f"--fps is frames per second in (0, 1000], not {args.fps:g}.")
    played = _input(args)
    print(f"{played.words} -> ROS 2 node -> {args.output}/", file=sys.stderr)
    card = _card(args.weights)
    outputs = prepare(args.output, force=True)
    outputs.log.mkdir()
    outcome = play(
        recorder=_recorder_command(outputs),
        node=_node_command(args),
        player=_player_command(args, played),
        outputs=outputs,
        doing="driving",
    )
    if not outputs.bag.is_dir() or (outcome.interrupted and outcome.sent == 0):
        raise KeyboardInterrupt
    report = _report(args, played, outputs, outcome, card)
    print(summary_text(report))
    print(f"\n  open {write_report(report, outputs.folder)}")
    for name, what in report.files.items():
        print(f"       {outputs.folder / name}: {what}")
    return 130 if outcome.interrupted else 0


def _card(weights: Path | None) -> ModelCard:
    from dcfm_ros.model import default_weights, load_model

    return load_model(weights or default_weights()).card


def _input(args: argparse.Namespace) -> Input:
    if args.input is not None:
        path = Path(args.input)
        place = path if str(path).startswith("/dev/") else path.resolve()
        # What cannot be played is told here, before anything is started or a former run's report is replaced.
        with open_source(place, args.topic, rate=args.fps, labels=args.labels) as source:
            open_labels(source, args.labels)
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


def _recorder_command(outputs: Outputs) -> list[str]:
    topics = _topics()
    named = [word for name, topic in vars(topics).items() for word in (f"--{name}", topic)]
    return [*module_command("demo_recorder"), str(outputs.bag.resolve()), *named]


def _node_command(args: argparse.Namespace) -> list[str]:
    parameters = [f"weights:={args.weights.resolve()}"] if args.weights else []
    words = [word for value in (*parameters, *args.set) for word in ("-p", value)]
    return [
        *module_command("main"),
        "--ros-args",
        "-r",
        f"__ns:={NAMESPACE}",
        "-r",
        f"__node:={NODE}",
        *words,
    ]


def _player_command(args: argparse.Namespace, played: Input) -> list[str]:
    topics = _topics()
    command = [
        *module_command("demo_player"),
        str(played.path),
        "--image-topic",
        topics.image,
        "--label-topic",
        topics.label,
    ]
    command += ["--listeners", "2", "--patience", str(START_PATIENCE)]
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
