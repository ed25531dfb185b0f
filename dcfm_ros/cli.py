"""The `dcfm` command: one table of sub-commands, each imported only when it is used."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

from dcfm_ros import __version__
from dcfm_ros.errors import DcfmError, printable
from dcfm_ros.requirements import too_old

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT


class Command(NamedTuple):
    """A sub-command: its module has `configure(parser)` and `run(args) -> exit status`."""

    module: str
    summary: str


COMMANDS = {
    "demo": Command(
        "dcfm_ros.commands.demo", "play a drive through ROS 2 into the node and show what comes out"
    ),
    "node": Command("dcfm_ros.commands.node", "run the ROS 2 node; its arguments are ROS's: --ros-args ..."),
    "replay": Command(
        "dcfm_ros.commands.replay", "segment a bag, a video or a folder of images and write a report"
    ),
    "train": Command("dcfm_ros.commands.train", "train a model"),
    "evaluate": Command("dcfm_ros.commands.evaluate", "measure a model's accuracy, consistency and cost"),
    "bench": Command(
        "dcfm_ros.commands.bench", "measure how fast a model runs on this machine, and against what"
    ),
    "export": Command(
        "dcfm_ros.commands.export",
        "write a model as checked ONNX graphs, and build engines ahead of time",
    ),
    "convert": Command("dcfm_ros.commands.convert", "turn published checkpoints into one .safetensors file"),
    "info": Command("dcfm_ros.commands.info", "tell what is installed here, or what is in a weights file"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status.

    0: done. 2: a problem the user can act on, told in one line on stderr (or argparse's own usage error).
    130: interrupted by Ctrl-C.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in argv if not word.startswith("-")), None)
    try:
        if old := too_old():
            raise DcfmError(old)
        parser = _build_parser(only=name if name in COMMANDS else None)
        own = argv[: argv.index("--ros-args")] if name == "node" and "--ros-args" in argv else argv
        args = parser.parse_args(own, argparse.Namespace(argv=argv))
        return int(_module(args.command).run(args))
    except DcfmError as error:
        print(f"dcfm: error: {printable(str(error))}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("dcfm: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`dcfm ... | head`) has left: nothing is wrong. Python would complain once more when
        # it flushes stdout at exit, so that goes to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _build_parser(only: str | None) -> argparse.ArgumentParser:
    """A parser that lists every command but has the options of `only` alone, so that nothing else is imported."""
    parser = argparse.ArgumentParser(
        prog="dcfm",
        description="DCFM video semantic segmentation for ROS 2. `dcfm COMMAND --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"dcfm {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.summary, description=_sentence(command.summary))
        if name == only:
            _module(name).configure(subparser)
    return parser


def _module(name: str):
    """Import a command's module, and say plainly which package is missing when one is.

    Raises:
        DcfmError: a third-party package the command needs is not installed.
    """
    try:
        return importlib.import_module(COMMANDS[name].module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "dcfm_ros" or not missing:
            raise
        raise DcfmError(
            f"`dcfm {name}` needs the Python package {missing!r}, which is not installed in {sys.prefix}; "
            f"install the project with its requirements (`make setup`, or `pip install .` in its folder; on a robot "
            f"`pip install -r tools/robot.txt`)."
        ) from error


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


if __name__ == "__main__":
    sys.exit(main())
