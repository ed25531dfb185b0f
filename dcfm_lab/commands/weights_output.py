"""The weights file that a command writes: its option, and what is checked before the work."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from dcfm_ros.commands.options import add_force
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import check_outputs


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds --output and --force."""
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors to write")
    add_force(parser)


def check_output(args: argparse.Namespace, read: Iterable[Path]) -> None:
    """Raises DcfmError where --output has another suffix or may not be written; `read`: files that the command reads."""
    if args.output.suffix != ".safetensors":
        raise DcfmError(f"--output is '{args.output}'; expected a name that ends in .safetensors")
    check_outputs([args.output], force=args.force, read=read)
