"""Command-line options made from the dataclasses that hold the defaults, so that both say the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any

from dcfm_ros.config import Size, allowed, from_text, parse_size

FORCE = "--force"


def add_options(
    parser: argparse._ActionsContainer,
    config: type,
    leave_out: Collection[str] = (),
    only: Collection[str] | None = None,
) -> None:
    """One option per `setting` of a config dataclass: `key_interval` becomes `--key-interval`.

    leave_out: fields without an option. only: the fields with an option; None: all.

    Parsing raises DcfmError for a value that the field cannot have.
    """
    for item in fields(config):
        if not item.metadata or item.name in leave_out or (only is not None and item.name not in only):
            continue
        default = item.default
        # What None stands for is for the help of the setting to say.
        notes = [allowed(item), f"default: {_words(default)}"] if default is not None else []
        said = "; ".join(note for note in notes if note)
        text = (item.metadata["help"] + (f" ({said})" if said else "")).replace("%", "%%")
        flag = "--" + item.name.replace("_", "-")
        if "bool" in str(item.type):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            kind = _reader(config, item.name, flag)
            parser.add_argument(flag, type=kind, default=default, help=text, metavar=_metavar(item.name))


def read_options(args: argparse.Namespace, config: Any, **values: Any) -> Any:
    """The config that the options describe; `values` are fields without an option. Raises DcfmError."""
    given = {item.name: getattr(args, item.name) for item in fields(config) if hasattr(args, item.name)}
    return config(**(given | values))


def add_parameters(parser: argparse._ActionsContainer, help: str) -> None:
    """`--set NAME:=VALUE`: `args.set` is a list of pairs of words."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=lambda text: text.partition(":=")[::2],
        metavar="NAME:=VALUE",
        help=help,
    )


def add_model(parser: argparse._ActionsContainer, name: str, more: str = "", **how: Any) -> None:
    """The argument or option `name` that takes a model; more: what the help adds, how: as `add_argument` takes it."""
    text = f"name (`dcfm models`) or weights file{more} (default: the first of these)"
    parser.add_argument(name, help=text, **how)


def add_size(
    parser: argparse._ActionsContainer, flag: str, help: str, default: Size | None = None, smallest: int = 1
) -> None:
    """An option that takes WIDTHxHEIGHT in pixels, `smallest` or more each."""
    parser.add_argument(
        flag,
        type=lambda text: parse_size(text, flag, "WIDTHxHEIGHT, as in 480x360", smallest=smallest),
        default=default,
        metavar="WxH",
        help=help,
    )


def add_words(parser: argparse._ActionsContainer, flag: str, help: str) -> None:
    """An option that takes words with commas between them; a list, by default empty."""
    parser.add_argument(
        flag,
        type=lambda text: [word for word in text.split(",") if word],
        default=[],
        metavar="LIST",
        help=help,
    )


def add_force(parser: argparse._ActionsContainer) -> None:
    """`--force`: see `files.check_outputs`."""
    parser.add_argument(FORCE, action="store_true", help="replace files that exist already")


def _reader(config: type, name: str, flag: str) -> Callable[[str], Any]:
    # Not argparse's own errors, which bury what is wrong under the whole usage: a DcfmError is one line.
    return lambda text: from_text(config, name, text, flag)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _metavar(name: str) -> str:
    return "WxH" if name.endswith("_size") else name.rpartition("_")[2].upper()
