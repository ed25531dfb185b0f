"""`dcfm replay`: how good and how fast would this be on my robot's data? A bag or a video in, a report out, no ROS.

Every frame goes through the same `StreamSegmenter` as in the node. As fast as possible, that is in inline mode, one
frame after the other: two runs give the same masks, bit for bit.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from dcfm_ros.commands.options import add_options, read_options
from dcfm_ros.config import usable_cores
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.media.bag_writer import STORAGES
from dcfm_ros.node.topics import REPLAY
from dcfm_ros.replay.interrupt import Interruptible
from dcfm_ros.replay.job import CLOCKS, Job
from dcfm_ros.replay.live.graph import Graph
from dcfm_ros.replay.live.run import require_ros
from dcfm_ros.replay.pools import LocalPool, Pool, RayPool
from dcfm_ros.stream.config import MODES, StreamConfig

# Inline is the one mode whose outcome does not depend on how fast this machine is; a robot has the node's default.
_DEFAULT_MODE = {"fast": "inline", "robot": StreamConfig().mode}
_BACKGROUND_ONLY = ("background", "background_threads", "slices")
_NO_OPTION = ("mode", "phase", "odometry_distance_m", "odometry_angle_deg")
_INTERRUPTED = 130


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        help="rosbag2 (folder, .mcap, .db3), ROS 1 .bag, video, or folder of images; several, or a folder of them, for one "
        "table over all",
    )
    parser.add_argument(
        "-o",
        "--report",
        dest="folder",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where to write the report",
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier run in that folder")
    parser.add_argument("--topic", help="image topic of a bag with several")
    parser.add_argument(
        "--labels",
        help="ground truth: a label topic of the bag, BAG:TOPIC of another bag, or a folder of label images",
    )
    parser.add_argument("--frames", type=int, help="stop after this many frames")
    parser.add_argument(
        "--rate",
        type=float,
        metavar="HZ",
        help="frames per second of a folder of images (default: 15), and the camera rate that a sweep recommends for "
        "(default: as recorded)",
    )
    parser.add_argument(
        "--weights", type=Path, help="weights file (default: the model that comes with the package)"
    )
    parser.add_argument(
        "--span",
        dest="span_s",
        type=float,
        default=Job.span_s,
        metavar="SECONDS",
        help="length of the time spans with numbers of their own (default: %(default)g)",
    )
    _configure_time(parser.add_argument_group("time"))
    _configure_live(parser.add_argument_group("in the loop"))
    _configure_outputs(parser.add_argument_group("outputs"))
    _configure_several(parser.add_argument_group("several runs"))
    add_options(parser.add_argument_group("stream"), StreamConfig, _NO_OPTION)
    add_options(parser.add_argument_group("engine"), EngineConfig)


def _configure_time(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--clock",
        choices=CLOCKS,
        help="fast: every frame, as fast as possible; robot: simulated real time on the recorded stamps, in which frames "
        "are dropped as the node would drop them on this machine (default: fast; for a sweep: robot)",
    )
    group.add_argument(
        "--mode",
        choices=MODES,
        help="where key frames are computed (default: inline; with --clock robot as in the node: background)",
    )
    group.add_argument(
        "--budget-ms",
        type=float,
        metavar="MS",
        help=f"a mean frame time above this is a warning in the diagnostics (default: {Job.budget_ms:g}); a sweep"
        "'s choice keeps 95 %% of the latencies below it (default: the time between two frames)",
    )


def _configure_live(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--live",
        action="store_true",
        help="play the recording in real time over DDS into the node, in processes of their own, and record what it "
        "publishes (needs ROS 2)",
    )
    group.add_argument(
        "--sim-time", action="store_true", help="with --live: publish /clock, and let the node use it"
    )
    group.add_argument(
        "--loop",
        type=int,
        default=1,
        metavar="TIMES",
        help="with --live: how many times to play it; 0: until Ctrl-C",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="with --live: a parameter of the node; may be repeated",
    )


def _configure_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--no-video", dest="video", action="store_false", help="do not write the overlay video"
    )
    group.add_argument("--no-bag", dest="bag", action="store_false", help="do not write the bag of masks")
    group.add_argument("--merge", action="store_true", help="put all messages of the input into the bag, too")
    group.add_argument(
        "--storage",
        choices=sorted(STORAGES),
        default=Job.storage,
        help="of the bag of masks (default: %(default)s)",
    )
    group.add_argument(
        "--confidence",
        action=argparse.BooleanOptionalAction,
        help="compute the confidence of every pixel (default: yes; with --clock robot no, as in the node while nobody "
        "subscribes to it)",
    )


def _configure_several(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sweep",
        nargs="+",
        metavar="NAME=VALUE,VALUE",
        help="run a grid, for example: trigger=interval:5,motion:0.1 engine=torch,openvino size=480x360,640x480; names are "
        "trigger, size, and all options of stream and engine",
    )
    group.add_argument("--jobs", type=int, help="recordings at a time (default: the cores of this machine)")
    group.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="replay several recordings on a Ray cluster: its address, auto (default), or local",
    )


def run(args: argparse.Namespace) -> int:
    """Replay and report. Returns 0, 130 after Ctrl-C (the report then covers what was processed), or 2 when one of
    several recordings could not be replayed."""
    # Imported here, as below: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.replay.many import recordings_in

    recordings = recordings_in(args.input)
    job = job_of(args)
    if (args.live or args.sweep) and len(recordings) > 1:
        raise DcfmError(f"{job.input} holds {len(recordings)} recordings; --live and --sweep take one.")
    if args.live:
        return _live(args, job)
    with Interruptible() as stop:
        if args.sweep:
            return _sweep(args, job, stop)
        if len(recordings) > 1 or args.ray:
            return _many(args, job, recordings, stop)
        return _single(dataclasses.replace(job, input=recordings[0]) if recordings else job, stop)


def _live(args: argparse.Namespace, job: Job) -> int:
    """In real time over DDS into the real node, frames with their recorded stamps as with `ros2 bag play`."""
    from dcfm_ros.replay.live.session import Session

    require_ros("`dcfm replay --live` runs", "make demo")
    given = dict(entry.partition(":=")[::2] for entry in args.set)
    return Session(
        Graph(REPLAY),
        dataclasses.replace(job, input=job.input.resolve()),
        title="live replay",
        words=str(job.input),
        recorded_stamps=True,
        options={"loop": args.loop},
        flags=("--clock",) if args.sim_time else (),
        parameters=({"use_sim_time": "true"} if args.sim_time else {}) | given,
    ).run()


def _single(job: Job, stop: Callable[[], bool]) -> int:
    from dcfm_ros.replay.run_job import run_job
    from dcfm_ros.replay.text import summary_text

    done = run_job(job, stop)
    print(summary_text(done.report))
    print(f"\n  open {done.page}")
    return _INTERRUPTED if done.interrupted else 0


def _sweep(args: argparse.Namespace, job: Job, stop: Callable[[], bool]) -> int:
    from dcfm_ros.measure.machine import this_machine
    from dcfm_ros.replay.report.sweep_page import write_sweep
    from dcfm_ros.replay.sweep import parse, run_sweep
    from dcfm_ros.replay.text import sweep_text

    sweep = run_sweep(job, parse(args.sweep), stop, rate=args.rate, budget_ms=args.budget_ms)
    processor = this_machine().processor
    page = write_sweep(sweep, f"{job.input}, {len(sweep.points)} runs on {processor}.", job.folder)
    print(sweep_text(sweep))
    print(f"\n  open {page}")
    return _INTERRUPTED if sweep.interrupted else 0


def _many(args: argparse.Namespace, job: Job, recordings: list[Path], stop: Callable[[], bool]) -> int:
    from dcfm_ros.replay.many import jobs_for, run_many
    from dcfm_ros.replay.report.recordings_page import write_recordings
    from dcfm_ros.replay.text import recordings_text

    if not recordings:
        raise DcfmError(f"No recordings in {', '.join(map(str, args.input))}.")
    workers = args.jobs or usable_cores()
    pool: Pool = RayPool(args.ray) if args.ray else LocalPool(workers)
    jobs = jobs_for(job, recordings, 1 if args.ray else min(workers, len(recordings)))
    outcomes = run_many(jobs, job.folder, pool, stop, force=job.force)
    page = write_recordings(outcomes, job.folder)
    print(recordings_text(outcomes))
    print(f"\n  open {page}")
    if stop():
        return _INTERRUPTED
    return 2 if any(outcome.problem for outcome in outcomes) else 0


def job_of(args: argparse.Namespace) -> Job:
    """The replay that the options describe, of the first of several recordings.

    Raises:
        DcfmError: options that make no sense.
    """
    for name in ("frames", "jobs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise DcfmError(f"--{name} is {value}; expected 1 or more")
    for flag, value in (("span", args.span_s), ("rate", args.rate), ("budget-ms", args.budget_ms)):
        if value is not None and not value > 0:
            raise DcfmError(f"--{flag} is {value:g}; expected a number above 0")
    if args.merge and not args.bag:
        raise DcfmError(
            "--merge puts the input's messages into the bag that --no-bag leaves out; drop one of them"
        )
    if args.sweep and len(args.input) > 1:
        raise DcfmError(f"--sweep runs its grid over one recording; {len(args.input)} are given")
    if args.live and (args.sweep or len(args.input) > 1 or args.clock):
        raise DcfmError(
            "--live plays one recording in real time; leave out --sweep, --clock and further recordings"
        )
    if args.loop < 0:
        raise DcfmError(f"--loop is {args.loop}; expected how many times to play, or 0 for ever")
    clock = args.clock or ("robot" if args.sweep or args.live else "fast")
    idle = [name for name in _BACKGROUND_ONLY if getattr(args, name) != getattr(StreamConfig, name)]
    if idle and (clock == "fast" or args.mode == "inline"):
        raise DcfmError(
            f"--{idle[0].replace('_', '-')} is about key frames in the background. Here frames wait for them: as fast as "
            f"possible (give --clock robot or --live), and in mode inline."
        )
    return read_options(
        args,
        Job,
        input=args.input[0],
        stream=read_options(args, StreamConfig, mode=args.mode or _DEFAULT_MODE[clock]),
        engine=read_options(args, EngineConfig),
        clock=clock,
        budget_ms=args.budget_ms or Job.budget_ms,
    )
