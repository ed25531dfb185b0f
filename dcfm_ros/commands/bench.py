"""`dcfm bench`: how fast is it on this machine, and against what."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from dcfm_ros.commands.options import add_size, read_words
from dcfm_ros.errors import DcfmError

if TYPE_CHECKING:
    from dcfm_ros.bench.contestants import Entry, Setting

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
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    parser.add_argument("--plot", metavar="FILE", help="write a plot (PNG or SVG) of the cost over K")


def run(args: argparse.Namespace) -> int:
    """Measures one model and tells what it measured."""
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.bench import plot
    from dcfm_ros.bench.contestants import entries_of
    from dcfm_ros.bench.result import FORMAT, Part, Report, record
    from dcfm_ros.bench.table import part_text
    from dcfm_ros.measure.plots import require_matplotlib
    from dcfm_ros.measure.result_file import save_result

    if args.plot:
        require_matplotlib()  # before the work, not after it
    setting = _setting(args)
    entries = entries_of(setting, _choices(args, setting), compiled=args.compile)
    part = record(Part, "quick", _command_line(args), lambda: _measure(args, setting, entries))
    print(part_text(part))
    if args.plot:
        plot.draw(part.cases[0], args.plot)
        print(f"\nwrote {args.plot}")
    if args.json:
        save_result(Report(FORMAT, (part,)), args.json)
        print(f"wrote {args.json}", file=sys.stderr)
    return 0


def _measure(args: argparse.Namespace, setting: Setting, entries: Sequence[Entry]) -> dict[str, Any]:
    """The fields of the part."""
    from dcfm_ros.bench.case import measure_case
    from dcfm_ros.bench.memory import measure_memory

    with ProgressBar() as bar:
        case = measure_case(
            setting, entries, seconds=args.seconds, threads=args.threads, say=bar.say, progress=bar.progress
        )
    return {"cases": (case,), "memory": measure_memory(setting, entries) if args.memory else ()}


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
        return Setting("quick", config=config, size=args.size, segformers=widths)
    if args.segformer:
        raise DcfmError("--segformer needs --backbone, as in --backbone mit_b0")
    return Setting("quick", weights=args.weights or str(default_weights()), size=args.size)


def _choices(args: argparse.Namespace, setting: Setting) -> list[tuple[str, str]]:
    """(engine, precision): all that are asked for; else those that are worth looking at here."""
    from dcfm_ros.bench.contestants import usual_choices

    usual = usual_choices(setting)
    if not args.engines and not args.precisions:
        return usual
    engines = args.engines or list(dict.fromkeys(engine for engine, _ in usual))
    precisions = args.precisions or list(dict.fromkeys(precision for _, precision in usual))
    asked = [(engine, precision) for engine in engines for precision in precisions]
    if args.engines and args.precisions:
        return asked
    return [choice for choice in asked if choice in usual] or asked


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


class ProgressBar:
    """Progress on a terminal, nothing elsewhere."""

    def __enter__(self) -> ProgressBar:
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
