"""`dcfm bench`: how fast is it on this machine, and against what."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from dcfm_ros.commands.options import add_size, read_words
from dcfm_ros.errors import DcfmError

if TYPE_CHECKING:
    from dcfm_ros.bench.contestants import Setting
    from dcfm_ros.bench.result import Case, Part

SECONDS = 25.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.epilog = (
        "Without options: the model that comes with the package, on every engine that is installed here, beside the "
        "published order of operations in plain torch. All take turns in one run; trust ratios more than times."
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--weights", metavar="FILE", help="model (default: the one that comes with the package)"
    )
    what.add_argument("--backbone", help="instead of weights: a random model on this backbone, as in mit_b2")
    what.add_argument("--classes", type=int, default=19, metavar="N", help="of such a model (default: 19)")
    add_size(what, "--size", "images (default: the model's)", (0, 0))
    what.add_argument(
        "--engines", type=read_words, default=[], metavar="LIST", help="as in torch,openvino (default: all)"
    )
    what.add_argument(
        "--precisions",
        type=read_words,
        default=[],
        metavar="LIST",
        help="as in fp32,int8 (default: all that suit the device)",
    )
    what.add_argument(
        "--compile",
        action="store_true",
        help="engine torch through torch.compile, too (up to minutes of building)",
    )
    what.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: all cores)")
    what.add_argument(
        "--segformer",
        action="store_true",
        help="compare with per-frame SegFormer, too (MiT backbones; transformers)",
    )
    what.add_argument("--memory", action="store_true", help="peak memory, too: a process for each engine")
    what.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="S", help=f"of timing (default: {SECONDS:.0f})"
    )
    what.add_argument(
        "--suite",
        nargs="*",
        metavar="PART",
        help="instead: the measurements behind docs/speed.md (default: all that suit the machine), into --json",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write what was measured; parts of other names stay in the file"
    )
    parser.add_argument("--plot", metavar="FILE", help="write a plot (PNG or SVG) of the cost over K")


def run(args: argparse.Namespace) -> int:
    """Measures one model, or the suite."""
    return _quick(args) if args.suite is None else _suite(args)


def _quick(args: argparse.Namespace) -> int:
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.bench import plot
    from dcfm_ros.bench.case import measure_case
    from dcfm_ros.bench.contestants import entries_of
    from dcfm_ros.bench.suite import record
    from dcfm_ros.measure.plots import require_matplotlib

    if args.plot:
        require_matplotlib()  # before the work, not after it
    setting = _setting(args)
    entries = entries_of(setting, _choices(args, setting), compiled=args.compile)

    def work() -> dict[str, Any]:
        with _Bar() as bar:
            case = measure_case(
                setting,
                entries,
                seconds=args.seconds,
                threads=args.threads,
                say=bar.say,
                progress=bar.progress,
            )
        return {"cases": (case,), "memory": _memory(setting, entries) if args.memory else ()}

    part = record("quick", _command_line(args), work)
    print(tell(part))
    if args.plot:
        plot.draw(part.cases[0], args.plot)
        print(f"\nwrote {args.plot}")
    write(part, args.json)
    return 0


def _suite(args: argparse.Namespace) -> int:
    from dcfm_ros.bench.suite import usual_parts

    if not args.json:
        raise DcfmError("--suite needs --json FILE, where its parts come together")
    for name in args.suite or usual_parts():
        measure_and_merge(name, args.json, args.seconds / SECONDS)
    return 0


def measure_and_merge(name: str, path: str, scale: float) -> None:
    """Measures one part of the suite, tells it, and puts it into the JSON file. scale: of the time it takes."""
    from dcfm_ros.bench.suite import measure_part

    with _Bar() as bar:
        part = measure_part(name, say=bar.say, progress=bar.progress, scale=scale)
    print(tell(part) + "\n")
    write(part, path)


def tell(part: Part) -> str:
    """A part for the terminal."""
    from dcfm_ros.bench.result import BUSY
    from dcfm_ros.bench.table import in_columns, label_map_lines

    facts = part.machine
    head = ", ".join(facts[name] for name in ("Processor", "GPU", "Vector units") if name in facts)
    lines = [f"{part.name}: {head}; {facts['Cores']} cores, {facts['Compute threads']} compute threads"]
    if part.others_cores > BUSY:
        lines.append(
            f"Other processes kept {part.others_cores:.1f} cores busy meanwhile, which slows some contestants more than "
            f"others: measure again when the machine is idle."
        )
    lines += [_tell_case(case) for case in part.cases]
    if part.label_maps:
        lines += ["", in_columns(label_map_lines(part.label_maps))]
    for row in part.memory:
        lines.append(f"{row.case}, {row.kind} {row.engine} {row.precision}: {row.peak_mib:.0f} MiB at most")
    return "\n".join(lines)


def _tell_case(case: Case) -> str:
    from dcfm_ros.bench.result import DCFM
    from dcfm_ros.bench.table import (
        against_lines,
        amortised_lines,
        frame_lines,
        in_columns,
        measured,
        ms,
        size,
        stage_lines,
    )

    blocks = [
        f"{case.weights} weights, {case.backbone}, {case.classes} classes, {size(case.size)}, {case.rounds} rounds; "
        f"median (quartiles); a ratio says how many times faster than the published order",
        in_columns(frame_lines(case)),
        in_columns(amortised_lines(case)),
        *([in_columns(against_lines(case))] if against_lines(case) else []),
        in_columns(stage_lines(case)),
    ]
    skipped = [
        f"not measured: {row.kind}, {row.engine} {row.precision}: {row.skipped}"
        for row in case.rows
        if row.skipped
    ]
    blocks += ["\n".join(skipped)] if skipped else []
    ours = [row for row in measured(case) if row.kind == DCFM and row.amortised]
    if ours:
        best = min(ours, key=lambda row: _mean_ms(row, 10))
        mean = _mean_ms(best, 10)
        assert best.key and best.other
        blocks.append(
            f"Fastest here: {best.engine} {best.precision}, {ms(best.other.median)} ms per frame, "
            f"{ms(best.key.median)} ms per key frame; with a key frame every 10 frames {1e3 / mean:.0f} frames a second."
        )
    return "\n" + "\n\n".join(blocks)


def _mean_ms(row: Any, interval: int) -> float:
    return next(item.ms.median for item in row.amortised if item.interval == interval)


def _setting(args: argparse.Namespace) -> Setting:
    from dcfm_ros.bench.contestants import Setting
    from dcfm_ros.bench.segformer import official_width
    from dcfm_ros.model.config import ModelConfig
    from dcfm_ros.model.shipped import default_weights

    if args.backbone and args.weights:
        raise DcfmError("give --weights or --backbone, not both")
    if args.backbone:
        config = ModelConfig(backbone=args.backbone, num_classes=args.classes)
        widths: tuple[int, ...] = ()
        if args.segformer:
            if not args.backbone.startswith("mit"):
                raise DcfmError("--segformer compares MiT backbones: SegFormer has no other")
            widths = (official_width(args.backbone),)
        return Setting("quick", config=config, size=args.size or (0, 0), segformers=widths)
    if args.segformer:
        raise DcfmError("--segformer needs --backbone, as in --backbone mit_b0")
    return Setting("quick", weights=args.weights or str(default_weights()), size=args.size)


def _choices(args: argparse.Namespace, setting: Setting) -> list[tuple[str, str]]:
    """(engine, precision): all that are asked for; else those that are worth looking at here."""
    from dcfm_ros.bench.suite import usual_choices

    usual = usual_choices(setting)
    if not args.engines and not args.precisions:
        return usual
    engines = args.engines or list(dict.fromkeys(engine for engine, _ in usual))
    precisions = args.precisions or list(dict.fromkeys(precision for _, precision in usual))
    asked = [(engine, precision) for engine in engines for precision in precisions]
    if args.engines and args.precisions:
        return asked
    return [choice for choice in asked if choice in usual] or asked


def _memory(setting: Setting, entries: Any) -> Any:
    from dcfm_ros.bench.memory import measure_memory

    return measure_memory(setting, entries)


def write(part: Part, path: str | None) -> None:
    """Puts a part into the JSON file at `path`, where one is given; its other parts stay."""
    from dcfm_ros.bench.result import load_report, merge
    from dcfm_ros.bench.suite import PARTS
    from dcfm_ros.measure.result_file import save_result

    if path:
        before = load_report(path) if Path(path).exists() else None
        save_result(merge(before, part, PARTS), path)
        print(f"wrote {path}", file=sys.stderr)


def _command_line(args: argparse.Namespace) -> str:
    """The command again, without what only this machine knows: of a path, its last part."""
    words = ["dcfm", "bench"]
    words += ["--weights", Path(args.weights).name] if args.weights else []
    words += ["--backbone", args.backbone, "--classes", str(args.classes)] if args.backbone else []
    words += ["--size", "{}x{}".format(*args.size)] if any(args.size) else []
    words += ["--engines", ",".join(args.engines)] if args.engines else []
    words += ["--precisions", ",".join(args.precisions)] if args.precisions else []
    words += ["--compile"] if args.compile else []
    words += ["--threads", str(args.threads)] if args.threads else []
    words += ["--segformer"] if args.segformer else []
    words += ["--memory"] if args.memory else []
    return shlex.join(words)


class _Bar:
    """Progress on a terminal, nothing elsewhere."""

    def __enter__(self) -> _Bar:
        self._bar = tqdm(total=100, unit="%", disable=None, leave=False)
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def say(self, contestant: str) -> None:
        """What is being built."""
        self._bar.set_description(f"building {contestant}")

    def progress(self, share: float) -> None:
        """The share of the timing that is done, 0-1."""
        self._bar.set_description("measuring")
        self._bar.update(min(100, round(100 * share)) - self._bar.n)
