"""`dcfm evaluate`: accuracy, video consistency and cost of models, beside what reuse has to beat."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from dcfm_lab.commands.command_line import command_line
from dcfm_lab.evaluation.config import EvaluationConfig
from dcfm_lab.learn.config import read_pair
from dcfm_ros.commands.options import add_force, add_model, add_options, add_size, add_words, read_options
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError, Interrupted, say
from dcfm_ros.files import check_outputs
from dcfm_ros.stream.trigger_grammar import HOW_TO_WRITE

if TYPE_CHECKING:
    from dcfm_lab.evaluation.report import Evaluation, Report


NUMBERS = {"key_intervals": ("K", int), "independent_intervals": ("N", int), "rates": ("HZ", float)}
"""Settings that are several numbers: what the help calls one of them, and its type."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.epilog = (
        "Frames that do not form a video (CamVid's train and test splits hold one per second) are evaluated "
        "one by one, which is K = 1."
    )
    add_model(parser, "files", ", several for one table", nargs="*", metavar="WEIGHTS")
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="NAME:PATH", help="dataset and its folder, as in camvid:data/camvid")
    data.add_argument("--split", default="val", help="train, val or test (default: val)")
    data.add_argument(
        "--options", nargs="+", default=[], metavar="KEY=VALUE", help="options of the dataset, as in drives=2"
    )
    _configure_comparison(parser.add_argument_group("what is compared"))
    how = parser.add_argument_group("how it runs")
    add_size(how, "--size", "network input (default: the model's)", (0, 0))
    add_options(how, EngineConfig, leave_out=("compile",))
    out = parser.add_argument_group("what comes out")
    out.add_argument("--json", metavar="FILE", help="write everything measured to a JSON file")
    out.add_argument("--plots", metavar="DIR", help="write plots (PNG and SVG) into a folder")
    add_force(out)


def _configure_comparison(group: argparse._ArgumentGroup) -> None:
    default = EvaluationConfig()
    told_of = {item.name: item.metadata.get("help") for item in fields(default)}
    for name, (metavar, kind) in NUMBERS.items():
        numbers = getattr(default, name)
        told = " ".join(map(str, numbers)) or "none"
        group.add_argument(
            "--" + name.replace("_", "-"),
            type=kind,
            nargs="+",
            default=list(numbers),
            metavar=metavar,
            help=f"{told_of[name]} (default: {told})",
        )
    add_words(group, "--triggers", f"other schedules, separated by commas: {HOW_TO_WRITE}")
    group.add_argument(
        "--offsets",
        type=_offsets,
        default=0,
        metavar="all|N",
        help="how many positions of the key frames to average over (default: all)",
    )
    add_options(group, EvaluationConfig, leave_out=(*NUMBERS, "triggers", "offsets", "input_size"))


def run(args: argparse.Namespace) -> int:
    """Evaluates one model or several. Raises Interrupted when what was measured until then is told and written."""
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_lab.datasets import open_dataset
    from dcfm_lab.evaluation.measure import measure
    from dcfm_lab.evaluation.report import new_report
    from dcfm_lab.evaluation.table import terminal
    from dcfm_lab.evaluation.video import open_footage
    from dcfm_lab.measure.plots import require_matplotlib
    from dcfm_lab.measure.result_file import save_result
    from dcfm_ros.measure.table import counted
    from dcfm_ros.model.shipped import weights_path

    if not args.data:
        raise DcfmError("there is nothing to evaluate on; give --data, as in --data camvid:data/camvid")
    if args.plots:
        # Before the work, not after it.
        require_matplotlib()
    config = read_options(args, EvaluationConfig, input_size=args.size)
    engine_config = read_options(args, EngineConfig)
    weights = [weights_path(file) for file in args.files or [None]]
    name, _, root = args.data.partition(":")
    check_outputs(
        _outputs(args, len(weights)), force=args.force, read=[*weights, *([Path(root)] if root else [])]
    )
    dataset = open_dataset(
        name, root, args.split, **dict(read_pair(pair, "--options: ") for pair in args.options)
    )
    footage = open_footage(dataset, name, args.split, config.reach)
    if footage.note:
        say(footage.note + "\n", file=sys.stderr)
    evaluations: list[Evaluation] = []
    for path in weights:
        with tqdm(total=footage.frames, desc=path.name, unit="frame", disable=None) as bar:
            try:
                evaluations.append(measure(path, footage, config, engine_config, progress=bar.update))
            except KeyboardInterrupt:
                if not evaluations:
                    raise
                break
        if evaluations[-1].left_out:
            break
    report = new_report(evaluations, command_line(args.argv))
    say(terminal(report))
    if args.json:
        save_result(report, args.json)
        say(f"\nwrote {args.json}")
    if args.plots:
        _save_plots(report, args)
    whole = sum(not evaluation.left_out for evaluation in evaluations)
    if whole < len(weights):
        left = (
            f"; the next lacks {counted(evaluations[-1].left_out, 'frame')}"
            if whole < len(evaluations)
            else ""
        )
        raise Interrupted(f"{whole} of {counted(len(weights), 'model')} measured to the end{left}")
    return 0


def _save_plots(report: Report, args: argparse.Namespace) -> None:
    from dcfm_lab.evaluation.plots import save_plots

    names = _plot_names(args, len(report.evaluations))
    for name, evaluation in zip(names, report.evaluations, strict=True):
        for path in save_plots(evaluation, args.plots, name):
            say(f"wrote {path}")


def _plot_names(args: argparse.Namespace, models: int) -> list[str]:
    """How the plots of each model begin."""
    stem = Path(args.json).stem if args.json else f"{args.data.partition(':')[0]}_{args.split}"
    return [stem] if models == 1 else [f"{stem}_{number}" for number in range(1, models + 1)]


def _outputs(args: argparse.Namespace, models: int) -> list[Path]:
    """The files that will be written."""
    from dcfm_lab.evaluation.plots import plot_files

    plots = [
        path
        for name in _plot_names(args, models)
        for path in (plot_files(args.plots, name) if args.plots else ())
    ]
    return [*([Path(args.json)] if args.json else []), *plots]


def _offsets(text: str) -> int:
    if text == "all":
        return 0
    if not text.isdigit() or int(text) < 1:
        raise DcfmError(f"--offsets is {text!r}; expected 'all' or a whole number of 1 or more")
    return int(text)
