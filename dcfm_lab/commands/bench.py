"""`dcfm bench`: how fast is it on this machine, and against what."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from dcfm_lab.commands.command_line import command_line
from dcfm_ros.commands.options import add_force, add_model, add_size, add_words
from dcfm_ros.errors import DcfmError, Interrupted, say
from dcfm_ros.files import check_outputs
from dcfm_ros.measure.table import counted

if TYPE_CHECKING:
    from dcfm_lab.bench.contestants import Entry, Setting
    from dcfm_lab.bench.result import Part

SECONDS = 25.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.epilog = (
        "Without options: the model that comes with the package, on every engine that is installed here, beside plain "
        "torch. All take turns in one run; trust ratios more than times."
    )
    what = parser.add_argument_group("what is measured")
    add_model(what, "--weights", metavar="MODEL")
    what.add_argument("--backbone", help="instead of weights: a random model on this backbone, as in mit_b2")
    what.add_argument(
        "--classes", type=int, default=19, metavar="N", help="classes of the random model (default: 19)"
    )
    add_size(what, "--size", "size of the images (default: the model's)", (0, 0))
    add_words(what, "--engines", "as in torch,openvino (default: all)")
    add_words(what, "--precisions", "as in fp32,int8 (default: all that suit the device)")
    what.add_argument(
        "--compile",
        action="store_true",
        help="also measure the torch engine with torch.compile, which takes up to minutes to build",
    )
    what.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: all cores)")
    what.add_argument(
        "--memory", action="store_true", help="also measure peak memory, in a process for each engine"
    )
    what.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="S",
        help=f"how long to measure (default: {SECONDS:.0f})",
    )
    parser.add_argument("--json", metavar="FILE", help="write everything measured to a JSON file")
    parser.add_argument("--plot", metavar="FILE", help="plot the cost over K (PNG or SVG)")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Measures one model and tells what it measured. Raises Interrupted after that where it was ended early."""
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_lab.bench.contestants import entries_of
    from dcfm_lab.bench.result import Part, record
    from dcfm_lab.bench.table import part_text

    setting = setting_of(args)
    check_writing(args, setting)
    entries = entries_of(choices_of(args, setting), compiled=args.compile)
    options = {"seconds": args.seconds, "threads": args.threads}
    with progress_bar() as progress:
        part = record(
            Part,
            "quick",
            command_line(args.argv),
            lambda: _measured(setting, entries, memory=args.memory, **options, **progress),
        )
    say(part_text(part))
    write(args, part)
    if part.cases[0].interrupted:
        raise Interrupted(
            f"after {counted(part.cases[0].rounds, 'round')}; labels and memory were not measured"
        )
    return 0


def _measured(setting: Setting, entries: Sequence[Entry], *, memory: bool, **options: Any) -> dict[str, Any]:
    from dcfm_lab.bench.case import measure_case
    from dcfm_lab.bench.memory import measure_memory

    case, _ = measure_case(setting, entries, partial=True, **options)
    return {
        "cases": (case,),
        "memory": measure_memory(setting, entries) if memory and not case.interrupted else (),
    }


def check_writing(args: argparse.Namespace, setting: Setting) -> None:
    """Raises DcfmError where what was asked for cannot be written: before the work, not after it."""
    from dcfm_lab.measure.plots import require_matplotlib

    if args.plot:
        require_matplotlib()
    outputs = [Path(name) for name in (args.json, args.plot) if name]
    check_outputs(outputs, force=args.force, read=[Path(setting.weights)] if setting.weights else [])


def write(args: argparse.Namespace, part: Part) -> None:
    """The files that were asked for."""
    from dcfm_lab.bench import plot
    from dcfm_lab.bench.result import FORMAT, Report
    from dcfm_lab.measure.result_file import save_result

    if args.plot:
        plot.draw(part.cases[0], args.plot)
        say(f"\nwrote {args.plot}")
    if args.json:
        save_result(Report(FORMAT, (part,)), args.json)
        say(f"\nwrote {args.json}")


def setting_of(args: argparse.Namespace) -> Setting:
    """The model that the options name."""
    from dcfm_lab.bench.contestants import Setting
    from dcfm_ros.model.config import ModelConfig
    from dcfm_ros.model.shipped import weights_path

    if args.backbone and args.weights:
        raise DcfmError("give --weights or --backbone, not both")
    if args.backbone:
        config = ModelConfig(backbone=args.backbone, num_classes=args.classes)
        return Setting("quick", config=config, size=args.size)
    return Setting("quick", weights=str(weights_path(args.weights)), size=args.size)


def choices_of(args: argparse.Namespace, setting: Setting) -> list[tuple[str, str]]:
    """(engine, precision): all that are asked for; else those that are worth looking at here."""
    from dcfm_lab.bench.contestants import usual_choices

    usual = usual_choices(setting)
    if not args.engines and not args.precisions:
        return usual
    engines = args.engines or list(dict.fromkeys(engine for engine, _ in usual))
    precisions = args.precisions or list(dict.fromkeys(precision for _, precision in usual))
    asked = [(engine, precision) for engine in engines for precision in precisions]
    if args.engines and args.precisions:
        return asked
    return [choice for choice in asked if choice in usual] or asked


@contextlib.contextmanager
def progress_bar() -> Iterator[dict[str, Any]]:
    """Of `measure_case` the options that tell how far it is, on a terminal; nothing elsewhere."""
    with tqdm(total=100, unit="%", disable=None, leave=False) as bar:

        def progress(share: float) -> None:
            bar.set_description("measuring")
            bar.update(min(100, round(100 * share)) - bar.n)

        yield {"say": lambda name: bar.set_description(f"building {name}"), "progress": progress}
