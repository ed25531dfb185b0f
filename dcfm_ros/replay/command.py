"""`dcfm replay`: how good and how fast would this be on my robot's data? A bag or a video in, a report out, no ROS.

Every frame goes through the same `StreamSegmenter` as in the node. As fast as possible, that is in inline mode, one
frame after the other: two runs give the same masks, bit for bit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dcfm_ros.engines import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.replay.bag_writer import STORAGES
from dcfm_ros.replay.clocks import CLOCKS
from dcfm_ros.replay.interrupt import Interruptible
from dcfm_ros.replay.job import Job, run_job
from dcfm_ros.replay.options import add_options, read_options
from dcfm_ros.replay.segments import DEFAULT_SECONDS
from dcfm_ros.replay.text import summary_text
from dcfm_ros.stream import StreamConfig
from dcfm_ros.stream.config import MODES

# Inline is the one mode whose outcome does not depend on how fast this machine is; a robot has the node's default.
_DEFAULT_MODE = {"fast": "inline", "robot": StreamConfig().mode}
_NO_OPTION = ("mode", "phase", "odometry_distance_m", "odometry_angle_deg")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("input", help="rosbag2 (folder, .mcap, .db3), ROS 1 .bag, video, or folder of images")
    parser.add_argument(
        "-o", "--report", type=Path, required=True, metavar="FOLDER", help="where to write the report"
    )
    parser.add_argument("--force", action="store_true", help="replace a former run in that folder")
    parser.add_argument("--topic", help="image topic of a bag with several")
    parser.add_argument(
        "--labels",
        help="ground truth: a label topic of the bag, BAG:TOPIC of another bag, or a folder of label images",
    )
    parser.add_argument("--frames", type=int, help="stop after this many frames")
    parser.add_argument("--rate", type=float, help="frames per second of a folder of images (default: 15)")
    parser.add_argument(
        "--weights", type=Path, help="weights file (default: the model that comes with the package)"
    )
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="fast",
        help="fast: every frame, as fast as possible; robot: simulated real time on the recorded stamps, with the frames "
        "dropped that the node would drop on this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="where key frames are computed (default: inline; with --clock robot as in the node: background)",
    )
    parser.add_argument(
        "--segment",
        type=float,
        default=DEFAULT_SECONDS,
        metavar="SECONDS",
        help="length of the stretches with numbers of their own (default: %(default)g)",
    )
    parser.add_argument(
        "--budget-ms",
        type=float,
        default=200.0,
        metavar="MS",
        help="latency above this is a warning (default: %(default)g)",
    )
    _configure_outputs(parser.add_argument_group("outputs"))
    add_options(parser.add_argument_group("stream"), StreamConfig, {}, _NO_OPTION)  # type: ignore[arg-type]
    add_options(parser.add_argument_group("engine"), EngineConfig, {})  # type: ignore[arg-type]


def _configure_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--no-video", action="store_true", help="do not write the overlay video")
    group.add_argument("--no-bag", action="store_true", help="do not write the bag of masks")
    group.add_argument("--merge", action="store_true", help="put all messages of the input into the bag, too")
    group.add_argument(
        "--storage",
        choices=sorted(STORAGES),
        default="mcap",
        help="of the bag of masks (default: %(default)s)",
    )
    group.add_argument(
        "--confidence",
        action=argparse.BooleanOptionalAction,
        help="compute the confidence of every pixel (default: yes; with --clock robot no, as in the node while nobody "
        "subscribes to it)",
    )


def run(args: argparse.Namespace) -> int:
    """Replay and report. Returns 0, or 130 after Ctrl-C: the report then covers what was processed."""
    job = job_of(args)
    with Interruptible() as stop:
        done = run_job(job, stop)
    print(summary_text(done.report))
    print(f"\n  open {done.page}")
    return 130 if done.interrupted else 0


def job_of(args: argparse.Namespace) -> Job:
    """The replay that the options describe.

    Raises:
        DcfmError: options that make no sense.
    """
    if args.frames is not None and args.frames < 1:
        raise DcfmError(f"--frames is 1 or more, not {args.frames}.")
    if not args.segment > 0:
        raise DcfmError(f"--segment is a number of seconds above 0, not {args.segment:g}.")
    mode = args.mode or _DEFAULT_MODE[args.clock]
    if args.clock == "fast" and mode != "inline":
        raise DcfmError(
            f"--mode {mode} needs --clock robot: as fast as possible, masks would depend on how fast this machine is."
        )
    if args.no_bag and args.merge:
        raise DcfmError("--merge puts the input's messages into the bag that --no-bag leaves out.")
    return Job(
        input=Path(args.input),
        folder=args.report,
        stream=read_options(args, StreamConfig, mode=mode),
        engine=read_options(args, EngineConfig),
        weights=args.weights,
        topic=args.topic,
        labels=args.labels,
        frames=args.frames,
        rate=args.rate,
        clock=args.clock,
        bag=not args.no_bag,
        video=not args.no_video,
        storage=args.storage,
        merge=args.merge,
        confidence=args.confidence,
        budget_ms=args.budget_ms,
        segment_s=args.segment,
        force=args.force,
    )
