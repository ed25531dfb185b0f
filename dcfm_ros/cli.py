"""The `dcfm` command: one table of sub-commands, each imported only when it is used."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from dcfm_ros.errors import DcfmError, Interrupted, PlainText, say
from dcfm_ros.interrupts import open_streams
from dcfm_ros.requirements import too_little_room, too_old
from dcfm_ros.version import __version__

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

_TOO_LITTLE = ("allocate memory", "insufficient memory", "out of memory", "bad_alloc", "start new thread")
"""What libraries say in errors of their own."""

COMMANDS = {
    "demo": "play a drive through ROS 2 into the node and show what comes out",
    "node": "run the ROS 2 node; its arguments are ROS's: --ros-args ...",
    "replay": "segment a bag, a video or a folder of images and write a report",
    "label": "choose frames to label in CVAT or Label Studio, and read the labels back",
    "train": "train a model",
    "evaluate": "measure a model's accuracy, consistency and cost",
    "bench": "measure how fast a model runs on this machine, and against what",
    "export": "write a model as checked ONNX graphs, and build engines ahead of time",
    "convert": "turn published checkpoints into one .safetensors file",
    "mean": "average the weights of models, one trained from the other",
    "models": "list the models that come with the package",
    "info": "tell what is installed here, or what is in a weights file",
}
"""What each does. Its module in `commands` has `configure(parser)` and `run(args) -> exit status`."""
IN_THE_LAB = ("label", "train", "evaluate", "bench", "convert", "mean")
"""The commands whose module is in `dcfm_lab/commands`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit status.

    0: done. 2: a problem the user can act on, told in one line on stderr (or argparse's own usage error).
    130: ended by Ctrl-C or SIGTERM; what is written is whole, and how far it came is told.
    """
    open_streams()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if logging.lastResort is not None:  # where warnings go as long as nobody has said where
        logging.lastResort.setFormatter(PlainText())
    argv = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in argv if not word.startswith("-")), None)
    try:
        networks = name in COMMANDS and name not in ("models", "node")  # the node looks for itself
        if unfit := too_old() or (too_little_room(f"dcfm {name}") if networks else ""):
            raise DcfmError(unfit)
        parser = _build_parser(only=name if name in COMMANDS else None)
        own = argv[: argv.index("--ros-args")] if name == "node" and "--ros-args" in argv else argv
        args = parser.parse_args(own, argparse.Namespace(argv=argv))
        return int(_module(args.command).run(args))
    except Interrupted as error:
        say(f"dcfm: interrupted: {error}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except DcfmError as error:
        return _fail(error)
    except ModuleNotFoundError as error:  # at once, or where a command comes to need it
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "dcfm_ros"):
            raise
        return _fail(_not_installed(name, missing))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return _reader_has_left()
        what = f"'{error.filename}': " if error.filename else ""
        return _fail(f"{what}{error.strerror or error}")
    except KeyboardInterrupt:
        say("dcfm: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        if not isinstance(error, MemoryError) and not any(word in str(error).lower() for word in _TOO_LITTLE):
            raise
        return _fail(
            "this machine (or the limit set for this process) has too little memory, or too few threads"
        )


def _fail(why: object) -> int:
    say(f"dcfm: error: {why}", file=sys.stderr)
    return EXIT_USER_ERROR


def _reader_has_left() -> int:
    """The reader of our output (`dcfm ... | head`) has left: nothing is wrong. Python would complain once more when it
    flushes stdout at exit, so that goes to nowhere."""
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
    for name, summary in COMMANDS.items():
        subparser = commands.add_parser(name, help=summary, description=_sentence(summary))
        if name == only:
            _module(name).configure(subparser)
    return parser


def _module(name: str):
    package = "dcfm_lab" if name in IN_THE_LAB else "dcfm_ros"
    return importlib.import_module(f"{package}.commands.{name}")


def _not_installed(name: str | None, missing: str) -> str:
    return (
        f"`dcfm {name}` needs the Python package {missing!r}, which is not installed in {sys.prefix}; "
        f"install the project with its requirements (`make setup`, or `pip install .` in its folder; on a robot "
        f"`pip install -r tools/robot.txt`)."
    )


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."


if __name__ == "__main__":
    sys.exit(main())
