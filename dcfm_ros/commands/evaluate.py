"""`dcfm evaluate`: accuracy, video consistency and cost of models, beside what reuse has to beat."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tqdm import tqdm

from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.evaluation.config import EvaluationConfig

if TYPE_CHECKING:
    from dcfm_ros.learn.evaluation.report import Report

DEFAULTS = EvaluationConfig()


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.epilog = (
        "Frames that are no video (CamVid's train and test splits hold one per second) are evaluated one by "
        "one, which is K = 1."
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="WEIGHTS",
        help="weights to evaluate, several for one table (default: those that come with the package); "
        "with --render: JSON files",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="NAME:PATH", help="dataset and its folder, as in camvid:data/camvid")
    data.add_argument("--split", default="val", help="train, val or test (default: val)")
    data.add_argument(
        "--options", nargs="+", default=[], metavar="KEY=VALUE", help="options of the dataset, as in drives=2"
    )
    what = parser.add_argument_group("what is compared")
    what.add_argument(
        "--key-intervals",
        type=int,
        nargs="+",
        default=list(DEFAULTS.key_intervals),
        metavar="K",
        help="a key frame every K frames (default: 1 2 5 10 15)",
    )
    what.add_argument(
        "--triggers",
        type=_words,
        default=[],
        metavar="LIST",
        help="other schedules, separated by commas: interval, time (ms), motion, disagreement, max_age (ms); "
        "as in motion:0.1,motion:0.1+max_age:1000",
    )
    what.add_argument(
        "--bidirectional",
        action=argparse.BooleanOptionalAction,
        default=DEFAULTS.bidirectional,
        help="the published evaluation too, which looks ahead to the next key frame (default: yes)",
    )
    what.add_argument(
        "--baselines",
        action=argparse.BooleanOptionalAction,
        default=DEFAULTS.baselines,
        help="the last key frame's mask too, copied and moved along the optical flow (default: yes)",
    )
    what.add_argument(
        "--offsets",
        type=_offsets,
        default=0,
        metavar="all|N",
        help="places of the key frames to average over (default: all)",
    )
    what.add_argument(
        "--speed-frames",
        type=int,
        default=DEFAULTS.speed_frames,
        metavar="N",
        help="frames to time (default: 60)",
    )
    how = parser.add_argument_group("how it runs")
    how.add_argument(
        "--size", type=_size, default=(0, 0), metavar="WxH", help="network input (default: the model's)"
    )
    how.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    how.add_argument("--precision", default="auto", help="auto, fp32, fp16, bf16 (default: auto)")
    how.add_argument("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    out = parser.add_argument_group("what comes out")
    out.add_argument("--json", metavar="FILE", help="write everything measured to a JSON file")
    out.add_argument("--plots", metavar="DIR", help="write plots (PNG and SVG) into a folder")
    out.add_argument(
        "--render",
        metavar="FILE",
        help="measure nothing: write a Markdown page from JSON files; where it has the marks "
        "<!-- results --> and <!-- /results -->, only what is between them",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluates, or renders the results of earlier evaluations."""
    return _render(args) if args.render else _evaluate(args)


def _render(args: argparse.Namespace) -> int:
    from dcfm_ros.learn.evaluation.markdown import fill

    if not args.files:
        raise DcfmError("--render needs the JSON files of evaluations, as in docs/results/*.json")
    page = Path(args.render)
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    page.write_text(fill(text, args.files, page), encoding="utf-8")
    print(f"wrote {args.render} from {len(args.files)} evaluations")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.engines.config import EngineConfig
    from dcfm_ros.learn.datasets import open_dataset
    from dcfm_ros.learn.evaluation.measure import measure, open_footage
    from dcfm_ros.learn.evaluation.report import new_report
    from dcfm_ros.learn.evaluation.table import terminal
    from dcfm_ros.measure.plots import require_matplotlib
    from dcfm_ros.measure.result_file import save_result
    from dcfm_ros.model.shipped import default_weights

    if not args.data:
        raise DcfmError("--data says what to evaluate on, as in --data camvid:data/camvid")
    if args.plots:
        # Before the work, not after it.
        require_matplotlib()
    config = EvaluationConfig(
        key_intervals=tuple(args.key_intervals),
        triggers=tuple(args.triggers),
        bidirectional=args.bidirectional,
        baselines=args.baselines,
        offsets=args.offsets,
        input_size=args.size,
        speed_frames=args.speed_frames,
    )
    # Models that are compared are run once: building a faster engine for each would take longer than it saves.
    engine_config = EngineConfig(
        engine=os.environ.get("DCFM_ENGINE", "torch"),
        device=args.device,
        precision=args.precision,
        threads=args.threads,
    )
    weights = [Path(file) for file in args.files] or [default_weights()]
    name, _, root = args.data.partition(":")
    dataset = open_dataset(name, root, args.split, **_options(args.options))
    footage = open_footage(dataset, name, args.split, config.reach)
    if footage.note:
        print(footage.note + "\n", file=sys.stderr)
    evaluations = []
    for path in weights:
        with tqdm(total=footage.frames, desc=path.name, unit="frame", disable=None) as bar:
            evaluations.append(measure(path, footage, config, engine_config, progress=bar.update))
    report = new_report(evaluations, command_line(args))
    print(terminal(report))
    if args.json:
        save_result(report, args.json)
        print(f"\nwrote {args.json}")
    if args.plots:
        _save_plots(report, args)
    return 0


def _save_plots(report: Report, args: argparse.Namespace) -> None:
    from dcfm_ros.learn.evaluation.plots import save_plots

    stem = Path(args.json).stem if args.json else f"{args.data.partition(':')[0]}_{args.split}"
    for number, evaluation in enumerate(report.evaluations):
        name = stem if len(report.evaluations) == 1 else f"{stem}_{number + 1}"
        for path in save_plots(evaluation, args.plots, name):
            print(f"wrote {path}")


def command_line(args: argparse.Namespace) -> str:
    """The command again, without what only this machine knows: of a path, its last part."""
    name, colon, root = args.data.partition(":")
    words = ["dcfm", "evaluate", *(Path(file).name for file in args.files)]
    words += ["--data", f"{name}{colon}{Path(root).name}", "--split", args.split]
    words += ["--options", *args.options] if args.options else []
    words += ["--key-intervals", *map(str, args.key_intervals)]
    words += ["--triggers", ",".join(args.triggers)] if args.triggers else []
    words += ["--offsets", str(args.offsets)] if args.offsets else []
    words += ["--size", "{}x{}".format(*args.size)] if any(args.size) else []
    words += ["--device", args.device] if args.device != "auto" else []
    words += [f"--no-{word}" for word in ("bidirectional", "baselines") if not getattr(args, word)]
    return shlex.join(words)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _offsets(text: str) -> int:
    if text == "all":
        return 0
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'all' nor a number of 1 or more")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; written like 480x360")
    return int(width), int(height)


def _options(pairs: list[str]) -> dict[str, Any]:
    """`drives=2` as YAML reads it: numbers are numbers."""
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise DcfmError(f"--options takes KEY=VALUE, not '{pair}'")
        options[key] = yaml.safe_load(value)
    return options
