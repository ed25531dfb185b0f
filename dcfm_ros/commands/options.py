"""Command-line options made from the dataclasses that hold the defaults, so that both say the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any

from dcfm_ros.config import Size, allowed, from_text, parse_size


def add_options(parser: argparse._ActionsContainer, config: type, leave_out: Collection[str] = ()) -> None:
    """One option per field of a config dataclass made of `setting`s: `key_interval` becomes `--key-interval`.

    Args:
        leave_out: fields without an option.

    Parsing raises DcfmError for a value that the field cannot have.
    """
    for item in fields(config):
        if item.name in leave_out:
            continue
        default, within = item.default, allowed(item)
        notes = f"{within}; default: {_words(default)}" if within else f"default: {_words(default)}"
        text = f"{item.metadata['help']} ({notes})".replace("%", "%%")
        flag = "--" + item.name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            kind = _reader(config, item.name, flag)
            parser.add_argument(flag, type=kind, default=default, help=text, metavar=_metavar(item.name))


def read_options(args: argparse.Namespace, config: Any, **values: Any) -> Any:
    """The config that the options describe; `values` are fields without an option. Raises DcfmError."""
    given = {item.name: getattr(args, item.name) for item in fields(config) if hasattr(args, item.name)}
    return config(**(given | values))


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


def read_words(text: str) -> list[str]:
    """Words with commas between them."""
    return [word for word in text.split(",") if word]


def _reader(config: type, name: str, flag: str) -> Callable[[str], Any]:
    # Not argparse's own errors, which bury what is wrong under the whole usage: a DcfmError is one line.
    return lambda text: from_text(config, name, text, flag)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _metavar(name: str) -> str:
    return "WxH" if name.endswith("_size") else name.rpartition("_")[2].upper()
