"""Measures how steady the frames are with each way to compute key frames, and writes the table of docs/latency.md.

    python bench/steady.py                    all cases: a few minutes each
    python bench/steady.py --case shipped     one; what the others measured stays in the file
    python bench/steady.py --page             the table from what was measured

On a machine with a CUDA GPU it measures on that, and the numbers go into a file and a page of their own (docs/speed.md).

A camera gives a frame every so many ms whatever happens; the newest one is segmented, and one that was never begun when
the next came is dropped. Latency runs from when the camera gives a frame to when its mask is there. All ways take their
turns in one run, a few seconds each. `--neighbours 2` keeps two other processes busy meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from dcfm_ros.arrays import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from markdown import fill
from steady_result import (
    GPU_CASE,
    GPU_STEADY_FILE,
    STEADY_FILE,
    Steady,
    Way,
    load_steady_runs,
    save_steady_runs,
    steady_table,
)
from suite import gpu_goal, shipped, vspw

from dcfm_lab.bench.contestants import Setting, on_gpu
from dcfm_lab.bench.frames import street
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.machine import OthersLoad
from dcfm_ros.measure.spread import percentiles
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter
from dcfm_ros.stream.trigger_grammar import NEVER_MS, OFF
from dcfm_ros.stream.workers import default_way

RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "latency.md"
MARKS = "<!-- table: begin -->", "<!-- table: end -->"
KEY_INTERVAL = 10
SETTLE_S = 4.0
WAYS = ("inline", "thread", "slices")


class Case(NamedTuple):
    """A model on an engine, and how often its camera gives a frame."""

    setting: Setting
    engine: str
    period_ms: float
    precision: str = "auto"


CASES = {
    "mit_b2": Case(vspw("mit_b2"), "openvino", 250.0),
    "mit_b2_torch": Case(vspw("mit_b2"), "torch", 250.0),
    "shipped": Case(shipped(), "openvino", 33.3),
}
GPU_CASES = {GPU_CASE: Case(gpu_goal(), "torch", 33.3, "fp16")}
"""The cases of a machine with a CUDA GPU."""


@dataclass
class Turn:
    """What became of the frames of one turn. others: cores that everything else on the machine kept busy."""

    latencies_ms: list[float] = field(default_factory=list)
    ages: list[int] = field(default_factory=list)
    dropped: int = 0
    others: float = 0.0


@dataclass
class Contestant:
    """One way's stream, and its turns."""

    stream: StreamSegmenter
    index: int = 0
    turns: list[Turn] = field(default_factory=list)

    def turn(self, images: Sequence[Image], frames: int, period_ms: float) -> Turn:
        """`frames` frames of the camera."""
        turn, load = Turn(), OthersLoad()
        begin = time.perf_counter() + period_ms / 1e3
        taken = -1
        while taken < frames - 1:
            now = time.perf_counter()
            newest = min(int((now - begin) * 1e3 // period_ms), frames - 1)
            if newest <= taken:
                time.sleep(max(0.0, begin + (taken + 1) * period_ms / 1e3 - now))
                continue
            stamp_ns = round((self.index + newest) * period_ms * 1e6) + 1
            result = self.stream.step(images[newest % len(images)], stamp_ns)
            if result.error:
                raise DcfmError(f"the common branch failed: {result.error}")
            turn.latencies_ms.append(1e3 * (time.perf_counter() - begin) - newest * period_ms)
            turn.ages.append(result.age_frames)
            turn.dropped += newest - taken - 1
            taken = newest
        self.index += frames
        turn.others = load.cores()
        return turn

    def way(self, name: str, turns: int) -> Way:
        """What the `turns` turns show during which the machine was quietest."""
        self.turns = sorted(self.turns, key=lambda turn: turn.others)[:turns]
        latencies = [ms for turn in self.turns for ms in turn.latencies_ms]
        dropped = sum(turn.dropped for turn in self.turns)
        p50, p95, p99 = percentiles(latencies, (50, 95, 99))
        age = fmean(age for turn in self.turns for age in turn.ages)
        return Way(name, p50, p95, p99, dropped / (len(latencies) + dropped), age)


def measure(
    case: Case, *, seconds: float, rounds: int, spares: int, ways: Sequence[str], neighbours: int
) -> Steady:
    """All ways in turns. seconds: of one way's turn."""
    model = case.setting.model()
    engine = create_engine(model, EngineConfig(engine=case.engine, precision=case.precision))
    size = model.card.input_size
    engine.prepare(size)
    images = street(size)
    contestants: dict[str, Contestant] = {}
    for way in ways:
        try:
            contestants[way] = Contestant(StreamSegmenter(engine, config_of(way)))
        except DcfmError as error:
            print(f"{way} is left out: {error}", file=sys.stderr)
    for contestant in contestants.values():  # graphs are built, blocks are timed
        contestant.turn(images, 2 * KEY_INTERVAL, case.period_ms)
        time.sleep(SETTLE_S)
        contestant.turn(images, KEY_INTERVAL, case.period_ms)
        time.sleep(SETTLE_S)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    try:
        for _ in range(rounds + spares):
            for contestant in contestants.values():
                frames = round(1e3 * seconds / case.period_ms)
                contestant.turns.append(contestant.turn(images, frames, case.period_ms))
                time.sleep(
                    SETTLE_S / 2
                )  # what is still computed in the background shall not disturb the next
    finally:
        for process in busy:
            process.kill()
            process.wait()
        for contestant in contestants.values():
            contestant.stream.close()
    measured = tuple(contestant.way(name, rounds) for name, contestant in contestants.items())
    others = max(turn.others for contestant in contestants.values() for turn in contestant.turns)
    title = (
        f"{case.setting.name}, {engine.name} {engine.precision}, {size[0]}×{size[1]}, a frame every "
        f"{case.period_ms:g} ms, key frame every {KEY_INTERVAL}"
        + (f", beside {neighbours} other busy processes" if neighbours else "")
        + f" ({rounds} turns of {seconds:g} s each; everything else kept up to {others:.1f} cores busy)"
    )
    by_name = {way.name: way for way in measured}
    return Steady(title, measured, by_name.get("inline"), by_name.get(default_way(engine)))


def config_of(way: str) -> StreamConfig:
    """Key frames by number only, so that all ways are asked for the same ones."""
    mode: dict[str, Any] = {"mode": "inline"}
    if way != "inline":
        mode = {"mode": "background", "background": way}
    triggers = OFF | {"key_interval": KEY_INTERVAL, "max_age_ms": NEVER_MS}
    return StreamConfig(agreement=False, **triggers, **mode)


def blocks(runs: Mapping[str, Steady]) -> str:
    """A table for each case, under its title."""
    return "\n\n".join(f"**{run.title}**\n\n{steady_table(run).markdown()}" for run in runs.values())


def render(runs: Mapping[str, Steady]) -> str:
    """The text of docs/latency.md with the tables in their place. Raises DcfmError where it has none for them."""
    machine = "The machine is that of [speed.md](speed.md#machine)."
    text = fill(PAGE.read_text(encoding="utf-8"), MARKS, f"{blocks(runs)}\n\n{machine}")
    if text is None:
        raise DcfmError(f"'{PAGE}' has lost its marks {' and '.join(MARKS)}")
    return text


def main() -> int:
    """Exit status 0: done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cases, results = (GPU_CASES, RESULTS / GPU_STEADY_FILE) if on_gpu() else (CASES, RESULTS / STEADY_FILE)
    parser.add_argument(
        "--case", nargs="+", choices=cases, default=list(cases), metavar="CASE", help=", ".join(cases)
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--seconds", type=float, default=7.5, help="of each way's turn (default: 7.5)")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each way (default: 4)")
    parser.add_argument(
        "--spares", type=int, default=0, help="further turns, of which those on a busier machine are left out"
    )
    parser.add_argument(
        "--neighbours", type=int, default=0, help="other busy processes meanwhile (default: 0)"
    )
    parser.add_argument("--page", action="store_true", help="only write docs/latency.md")
    args = parser.parse_args()
    runs = load_steady_runs(results)
    for name in () if args.page else args.case:
        result = measure(
            cases[name],
            seconds=args.seconds,
            rounds=args.rounds,
            spares=args.spares,
            ways=args.ways,
            neighbours=args.neighbours,
        )
        label = f"{name}_busy" if args.neighbours else name
        runs[label] = result
        save_steady_runs(results, runs)
        print(f"{result.title}\n{steady_table(result).text()}\n")
    if PAGE.exists() and not on_gpu():
        PAGE.write_text(render(runs), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
