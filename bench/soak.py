"""Soaks the node: plays a camera into it, makes things go wrong at random moments, and watches what becomes of it.

    python bench/soak.py --minutes 10                   and docs/reliability.md from it
    python bench/soak.py --minutes 600 --seed 7 --json /tmp/soak.json
    python bench/soak.py --page                         the page from what was measured

The node is a process of its own, with the shipped model unless a parameter names another (`--set weights=...`). The same
seed makes the same faults in the same order, with the same pauses between them. Needs ROS 2 and this package's messages in the environment
(`. tools/env.sh`). Exit status 1, with the reasons, where the node did not keep what docs/reliability.md promises.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from soak_page import PAGE, outcome, write_page
from soak_result import FORMAT, SAMPLES, FaultRow, Soak, growths
from soak_schedule import CALM, FAULTS, KILL, schedule

from dcfm_lab.measure.result_file import load_result, save_result
from dcfm_ros.config import Size
from dcfm_ros.errors import DcfmError, say
from dcfm_ros.measure.machine import OthersLoad, now, this_machine
from dcfm_ros.replay.live.processes import ChildProcesses
from dcfm_ros.replay.live.run import require_ros

if TYPE_CHECKING:
    from soak_rig import Rig

RESULTS = HERE / "results" / "soak.json"
COMMAND = "python bench/soak.py"
RATE_HZ = 10.0
SIZE: Size = (320, 240)


def soak(args: argparse.Namespace) -> Soak:
    """The run."""
    from soak_rig import Plan, Rig, ros_began

    ros_began()
    seconds, load = 60 * args.minutes, OthersLoad()
    plan = Plan(args.rate, SIZE, max(0.5, seconds / SAMPLES), tuple(args.set))
    with tempfile.TemporaryDirectory() as folder, ChildProcesses() as children:
        rig = Rig(plan, Path(folder), children)
        begin = time.monotonic()
        try:
            rig.start()
            begin = time.monotonic()
            _run(rig, args.seed, seconds)
            rig.ends()
        except DcfmError as error:
            rig.book.problem(f"{error}\n{rig.process.log_tail()}".rstrip())
        return _result(rig, args, time.monotonic() - begin, load.cores())


def _run(rig: Rig, seed: int, seconds: float) -> None:
    from soak_faults import inject

    begin = rig.now()
    for event in schedule(seed, seconds):
        rig.fault = CALM
        due = rig.now() + event.pause_s
        while rig.now() < min(due, begin + seconds):
            rig.frame()
        if due > begin + seconds:
            return
        say(f"{rig.now() - begin:7.1f} s: {event.kind}", file=sys.stderr)
        inject(rig, event.kind, random.Random(event.seed))
        if rig.book.problems:
            say(f"         problem: {rig.book.problems[-1]}", file=sys.stderr)


def _result(rig: Rig, args: argparse.Namespace, seconds: float, others: float) -> Soak:
    trends = growths(rig.process.samples)
    problems = [
        *rig.book.problems,
        *(
            f"{trend.what} grew by {trend.growth:.1f} {trend.unit} in {trend.seconds:.0f} s".replace(
                "  ", " "
            )
            for trend in trends
            if trend.too_much
        ),
    ]
    tallies = rig.book.tallies
    return Soak(
        format=FORMAT,
        command=f"{COMMAND} --minutes {args.minutes:g} --seed {args.seed} --rate {args.rate:g}"
        + "".join(f" --set {name}={value}" for name, value in args.set),
        date=now(),
        seed=args.seed,
        seconds=round(seconds, 1),
        rate_hz=args.rate,
        size=SIZE,
        engine=rig.engine,
        lives=rig.process.lives,
        setups=rig.setups,
        rows=tuple(FaultRow.of(kind, tallies[kind]) for kind in (CALM, *FAULTS, KILL) if kind in tallies),
        samples=tuple(rig.process.samples),
        growths=trends,
        problems=tuple(problems),
        others=round(others, 2),
        machine=this_machine(),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    return name, value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, less the start (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults (default: 0)")
    parser.add_argument("--rate", type=float, default=RATE_HZ, help="frames a second (default: 10)")
    parser.add_argument(
        "--set", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="a parameter of the node"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the result goes")
    parser.add_argument("--page", action="store_true", help=f"only write docs/{PAGE.name}")
    return parser.parse_args()


def main() -> int:
    """Exit status 0: the node kept its promises. 1: it did not, or could not be run."""
    args = _arguments()
    try:
        if not args.page:
            require_ros("The soak runs", "make setup")
            save_result(soak(args), args.json)
        result = load_result(Soak, args.json, FORMAT, COMMAND)
    except DcfmError as error:
        say(f"soak: {error}", file=sys.stderr)
        return 1
    if args.json == RESULTS:
        write_page(result)
    say(outcome(result))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
