"""`dcfm demo`: a drive through a real ROS 2 graph into the real node, in processes of their own, and what came out.

This process needs no ROS: it starts the player, the node and the recorder, watches them, and makes the report from the
bag that was recorded.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.commands.options import add_size
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.labels import open_labels
from dcfm_ros.media.open_source import open_source
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.node.topics import DEMO
from dcfm_ros.replay.live.drive import IMAGE_TOPIC, LABEL_TOPIC, Drive, rendered
from dcfm_ros.replay.live.graph import Graph
from dcfm_ros.replay.live.report import live_report
from dcfm_ros.replay.live.run import play, require_ros
from dcfm_ros.replay.outputs import prepare
from dcfm_ros.replay.report.page import write_report
from dcfm_ros.replay.text import summary_text

GRAPH = Graph(DEMO)
DRIVE_SECONDS = 20.0


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
    add_size(parser, "--size", "image size (default: as recorded; drive: 480x360)", smallest=16)
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
    card = load_model(args.weights or default_weights()).card
    outputs = prepare(args.output, force=True)
    outputs.log.mkdir()
    parameters = [f"weights:={args.weights.resolve()}"] if args.weights else []
    outcome = play(
        recorder=GRAPH.recorder(outputs.bag),
        node=GRAPH.node([*parameters, *args.set]),
        player=_player(args, played),
        outputs=outputs,
        doing="driving",
    )
    report = live_report(
        GRAPH,
        outputs,
        outcome,
        card,
        title="demo",
        played=played.words,
        settings=dict(entry.partition(":=")[::2] for entry in args.set),
        rate=args.fps,
    )
    print(summary_text(report))
    print(f"\n  open {write_report(report, outputs.folder)}")
    for name, what in report.files.items():
        print(f"       {outputs.folder / name}: {what}")
    return 130 if outcome.interrupted else 0


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


def _player(args: argparse.Namespace, played: Input) -> list[str]:
    options = {"topic": played.topic, "labels": played.labels, "frames": args.frames, "fps": args.fps}
    size = ["--size", *map(str, args.size)] if args.size else []
    return GRAPH.player(played.path, options, *size)
