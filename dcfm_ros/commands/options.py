"""Command-line options made from the dataclasses that hold the defaults, so that both say the same."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from dataclasses import Field, fields
from typing import Any

from dcfm_ros.errors import DcfmError


def add_options(
    parser: argparse.ArgumentParser, config: Any, defaults: Mapping[str, Any], leave_out: Collection[str] = ()
) -> None:
    """One option per field of a config dataclass: `key_interval` becomes `--key-interval`.

    Args:
        config: the dataclass; each field's metadata has "help".
        defaults: values that differ from the dataclass's own.
        leave_out: fields without an option.
    """
    for item in fields(config):
        if item.name in leave_out:
            continue
        default = defaults.get(item.name, item.default)
        text = f"{item.metadata['help']} (default: {_words(default)})".replace("%", "%%")
        flag = "--" + item.name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        else:
            kind = {int: int, float: float}.get(type(default), str)
            parser.add_argument(flag, type=kind, default=default, help=text, metavar=_metavar(item))


def read_options(args: argparse.Namespace, config: Any, **values: Any) -> Any:
    """The config that the options describe; `values` are fields without an option.

    Raises:
        DcfmError: a value the config refuses.
    """
    given = {item.name: getattr(args, item.name) for item in fields(config) if hasattr(args, item.name)}
    try:
        return config(**(given | values))
    except TypeError as error:
        raise DcfmError(str(error)) from error


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(entry) for entry in value)
    return str(value)


def _metavar(item: Field[Any]) -> str:
    return "WxH" if item.name.endswith("_size") else item.name.rpartition("_")[2].upper()
