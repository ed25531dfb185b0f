"""`dcfm demo`: a drive through a real ROS 2 graph into the real node, in processes of their own, and what came out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from dcfm_ros.commands.options import add_options, add_parameters, add_size, read_options
from dcfm_ros.config import from_text
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import say
from dcfm_ros.node.topics import DEMO
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.live.drive import IMAGE_TOPIC, LABEL_TOPIC, Drive, rendered
from dcfm_ros.replay.live.run import require_ros
from dcfm_ros.stream.config import StreamConfig

DRIVE_SECONDS = 20.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Without --frames, 20 seconds of the synthetic drive are played."
    parser.add_argument(
        "input",
        nargs="?",
        help="video, bag, folder of images or camera (/dev/video0); default: a synthetic street drive",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo_out"), help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--fps",
        type=lambda text: from_text(Job, "rate", text, "--fps"),
        help="frames per second (default: as recorded; drive: 15)",
    )
    add_size(parser, "--size", "image size (default: as recorded; drive: 480x360)", smallest=16)
    parser.add_argument("--seed", type=int, default=0, help="which synthetic drive (default: %(default)s)")
    add_options(parser, Job, only=("frames", "topic", "labels", "weights", "force"))
    add_options(parser, EngineConfig, only=("classes_file",))
    add_parameters(parser, "a parameter of the node; may be repeated")


def run(args: argparse.Namespace) -> int:
    """Play, record, report. Returns 0, or 130 after Ctrl-C (the report is written then, too)."""
    # Imported here: with torch it takes seconds, which `--help` does not need.
    from dcfm_ros.replay.live.session import Session

    require_ros("The demo runs", "make demo")
    job, words = _drive(args) if args.input is None else (_job(args, args.input), Path(args.input).name)
    say(f"{words} -> ROS 2 node -> {args.output}/", file=sys.stderr)
    return Session(
        DEMO, job, title="demo", words=words, options={"size": args.size}, parameters=dict(args.set)
    ).run()


def _job(args: argparse.Namespace, played: str | Path, **fields: Any) -> Job:
    path = Path(played)
    source = path if str(path).startswith("/dev/") else path.resolve()
    fields |= {"stream": StreamConfig(), "engine": read_options(args, EngineConfig)}
    return read_options(args, Job, input=source, folder=args.output, rate=args.fps, clock="robot", **fields)


def _drive(args: argparse.Namespace) -> tuple[Job, str]:
    fps = args.fps or 15.0
    drive = Drive(args.seed, args.size or (480, 360), fps, args.frames or max(1, round(DRIVE_SECONDS * fps)))
    return _job(args, rendered(drive), topic=IMAGE_TOPIC, labels=LABEL_TOPIC), drive.words
