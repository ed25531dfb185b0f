"""`dcfm replay`: how good and how fast would this be on my robot's data? A bag or a video in, a report out, no ROS.

Every frame goes through the same `StreamSegmenter` as in the node. As fast as possible, that is in inline mode, one
frame after the other: two runs give the same masks, bit for bit.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcfm_ros.commands.options import add_options, add_parameters, read_options
from dcfm_ros.config import setting, usable_cores
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError, one_line, say
from dcfm_ros.interrupts import interruptible
from dcfm_ros.media.bag_files import is_bag
from dcfm_ros.node.topics import REPLAY
from dcfm_ros.replay.job import Job
from dcfm_ros.replay.live.run import require_ros
from dcfm_ros.replay.pools import LocalPool, Pool, RayPool
from dcfm_ros.stream.config import MODES, StreamConfig

# Inline is the one mode whose outcome does not depend on how fast this machine is; a robot has the node's default.
_DEFAULT_MODE = {"fast": "inline", "robot": StreamConfig().mode}
_BACKGROUND_ONLY = ("background", "background_threads", "slices")
_NO_OPTION = ("mode", "phase")
_INTERRUPTED = 130


@dataclass(frozen=True)
class _Live:
    """What is played in the loop."""

    live: bool = setting(
        False,
        "play the recording in real time over DDS into the node, in processes of their own, and record what it publishes "
        "(needs ROS 2)",
    )
    sim_time: bool = setting(False, "with --live: publish /clock, and let the node use it")
    loop: int = setting(1, "with --live: how many times to play it; 0: until Ctrl-C", 0)


@dataclass(frozen=True)
class _Several:
    """How several recordings are shared out."""

    jobs: int | None = setting(None, "recordings at a time (default: the cores of this machine)", 1)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="+",
        type=Path,
        help="rosbag2 (folder, .mcap, .db3), ROS 1 .bag, video, or folder of images; several, or a folder of them, for one "
        "table over all",
    )
    parser.add_argument(
        "-o", "--report", dest="folder", type=Path, required=True, metavar="FOLDER", help="where to write it"
    )
    add_options(parser.add_argument_group("recording, clock and outputs"), Job)
    live = parser.add_argument_group("in the loop")
    add_options(live, _Live)
    add_parameters(live, "with --live: a parameter of the node; may be repeated")
    _configure_several(parser.add_argument_group("several runs"))
    stream = parser.add_argument_group("stream")
    stream.add_argument(
        "--mode",
        choices=MODES,
        help="where key frames are computed (default: inline; with --clock robot as in the node: background)",
    )
    add_options(stream, StreamConfig, _NO_OPTION)
    add_options(parser.add_argument_group("engine"), EngineConfig)
    parser.set_defaults(clock=None)  # it depends on what is run


def _configure_several(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sweep",
        nargs="+",
        metavar="NAME=VALUE,VALUE",
        help="run a grid, for example: trigger=interval:5,motion:0.1 engine=torch,openvino size=480x360,640x480; names are "
        "trigger, size, and all options of stream and engine",
    )
    add_options(group, _Several)
    group.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="replay several recordings on a Ray cluster: its address, auto (default), or local",
    )


def run(args: argparse.Namespace) -> int:
    """Replay and report. Returns 0, 130 after Ctrl-C (the report then covers what was processed), or 2 when one of
    several recordings could not be replayed, or an output could not be written."""
    # Imported here, as below: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.replay.many import recordings_in

    recordings = recordings_in(args.input)
    job = job_of(args)
    if (args.live or args.sweep) and len(recordings) > 1:
        raise DcfmError(f"{job.input} holds {len(recordings)} recordings; --live and --sweep take one.")
    if args.live:
        return _live(args, job)
    with interruptible() as stop:
        if args.sweep:
            return _sweep(args, job, stop)
        if len(recordings) > 1 or args.ray:
            return _many(args, job, recordings, stop)
        return _single(dataclasses.replace(job, input=recordings[0]) if recordings else job, stop)


def _live(args: argparse.Namespace, job: Job) -> int:
    """In real time over DDS into the real node, frames with their recorded stamps as with `ros2 bag play`."""
    from dcfm_ros.replay.live.session import Session

    require_ros("`dcfm replay --live` runs", "make demo")
    return Session(
        REPLAY,
        dataclasses.replace(job, input=job.input.resolve()),
        title="live replay",
        words=str(job.input),
        recorded_stamps=True,
        options={"loop": args.loop, "clock": args.sim_time},
        parameters=({"use_sim_time": "true"} if args.sim_time else {}) | dict(args.set),
    ).run()


def _single(job: Job, stop: Callable[[], bool]) -> int:
    from dcfm_ros.replay.replayer import run_job
    from dcfm_ros.replay.report.tables import summary_text

    done = run_job(job, stop)
    say(summary_text(done.report))
    return _ended(done.page, done.interrupted, done.failed)


def _sweep(args: argparse.Namespace, job: Job, stop: Callable[[], bool]) -> int:
    from dcfm_ros.measure.machine import this_machine
    from dcfm_ros.replay.job import parse
    from dcfm_ros.replay.report.sweep_page import sweep_text, write_sweep
    from dcfm_ros.replay.sweep import run_sweep

    sweep = run_sweep(job, parse(args.sweep), stop)
    processor = this_machine().processor
    say(sweep_text(sweep))
    page = write_sweep(sweep, f"{job.input}, {len(sweep.points)} runs on {processor}.", job.folder)
    return _ended(page, sweep.interrupted, sweep.failed)


def _many(args: argparse.Namespace, job: Job, recordings: list[Path], stop: Callable[[], bool]) -> int:
    from dcfm_ros.replay.many import jobs_for, run_many
    from dcfm_ros.replay.report.recordings_page import recordings_text, write_recordings

    if not recordings:
        raise DcfmError(f"No recordings in {', '.join(map(str, args.input))}.")
    workers = args.jobs or usable_cores()
    pool: Pool = RayPool(args.ray) if args.ray else LocalPool(workers)
    jobs = jobs_for(job, recordings, 1 if args.ray else min(workers, len(recordings)))
    outcomes = run_many(jobs, job.folder, pool, stop, force=job.force)
    say(recordings_text(outcomes))
    problems = [f"{outcome.name}: {outcome.problem}" for outcome in outcomes if outcome.problem]
    return _ended(write_recordings(outcomes, job.folder), stop(), problems)


def _ended(page: Path, interrupted: bool, failed: Sequence[str]) -> int:
    """The exit status; tells where the page is, and what is missing of what was asked for."""
    if page.exists():
        say(f"\n  open {page}")
    for reason in failed:
        say(f"dcfm: {one_line(reason)}", file=sys.stderr)
    return _INTERRUPTED if interrupted else 2 if failed else 0


def job_of(args: argparse.Namespace) -> Job:
    """The replay that the options describe, of the first of several recordings.

    Raises DcfmError: options that make no sense.
    """
    clock = args.clock or ("robot" if args.sweep or args.live else "fast")
    stream = read_options(args, StreamConfig, mode=args.mode or _DEFAULT_MODE[clock])
    for objection in _objections(args, clock, stream):
        raise DcfmError(objection)
    engine = read_options(args, EngineConfig)
    return read_options(args, Job, input=args.input[0], stream=stream, engine=engine, clock=clock)


def _objections(args: argparse.Namespace, clock: str, stream: StreamConfig) -> Iterator[str]:
    """Options that contradict each other, or that this run would not look at: who gave one would think that it had."""
    path, several = args.input[0], len(args.input) > 1
    if args.sweep and several:
        yield f"--sweep runs its grid over one recording; {len(args.input)} are given"
    if args.live and (args.sweep or several or args.clock):
        yield "--live plays one recording in real time; leave out --sweep, --clock and further recordings"
    if args.masks and (args.live or args.sweep):
        yield "--masks works with a plain replay only; leave out --live and --sweep"
    for name in ("sim_time", "loop", "set") if not args.live else ():
        if getattr(args, name) != getattr(_Live, name, []):
            yield f"--{name.replace('_', '-')} needs --live, which plays the recording into the node"
    if args.ray and args.jobs:
        yield "--jobs is for this machine's cores, and --ray for a cluster, which shares out by itself; give one"
    if args.rate and not args.sweep and not several and (path.is_file() or is_bag(path)):
        yield f"--rate is for folders of images; the frames of {path} have their own times, leave it out"
    for name in _BACKGROUND_ONLY if clock == "fast" or args.mode == "inline" else ():
        if getattr(args, name) != getattr(StreamConfig, name):
            yield (
                f"--{name.replace('_', '-')} is about key frames in the background, but in mode inline and with --clock fast "
                f"frames wait for them; give --clock robot or --live, and --mode background"
            )
    if args.live and stream.wants_odometry:
        yield (
            "--live plays no odometry, so that triggers on it would never fire; try them without --live, with --clock robot"
        )
    if args.odometry and not args.sweep and not stream.wants_odometry:
        yield (
            "--odometry is for odometry triggers, and none is set; give --odometry-distance-m or --odometry-angle-deg"
        )
