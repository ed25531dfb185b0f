"""Plain mappings (from YAML) into typed dataclasses, strictly: every wrong key or type is an error that names it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from dcfm_ros.errors import DcfmError

T = TypeVar("T")


def from_mapping(cls: type[T], values: object, where: str = "") -> T:
    """`values` as an instance of the dataclass `cls`, whose fields may be dataclasses, tuples of them, or plain types.

    `where` is the path of `values` in the file, as in `data.train.0`, for the messages. Raises DcfmError for an unknown
    key (listing the known ones), a missing one and a value of another type. An int is taken for a float, nothing else
    is converted.
    """
    if not isinstance(values, Mapping):
        raise DcfmError(
            f"'{where or cls.__name__}' must be a mapping of keys to values, got {_shown(values)}"
        )
    hints = get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise DcfmError(f"unknown key '{_join(where, key)}'; known: {', '.join(known)}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise DcfmError(f"key '{_join(where, name)}' is missing; it has no default")
    return cls(**{key: convert(hints[key], value, _join(where, key)) for key, value in values.items()})


def convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`, or DcfmError naming `where`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        # Only `X | None` is used.
        return (
            None
            if value is None
            else convert(next(a for a in arguments if a is not type(None)), value, where)
        )
    if origin is Literal:
        if value not in arguments:
            raise DcfmError(f"'{where}' is {_shown(value)}; known: {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise DcfmError(f"'{where}' must be a mapping of keys to values, got {_shown(value)}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise DcfmError(f"'{where}' must be {_name(hint)}, got {_shown(value)}")
    return value


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise DcfmError(f"'{where}' must be a list, got {_shown(value)}")
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise DcfmError(f"'{where}' must be a list of {len(arguments)}, got {_shown(value)}")
    hints = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
    return tuple(
        convert(hint, item, _join(where, i)) for i, (hint, item) in enumerate(zip(hints, value, strict=True))
    )


def set_key(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Sets `a.b.0.c` in nested mappings and lists, as `key=value` on the command line asks; DcfmError if it cannot be."""
    *parents, last = dotted.split(".")
    node: Any = values
    for i, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[: i + 1]), make=True)
    if isinstance(node, list):
        node[_index(node, last, dotted)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise DcfmError(f"cannot set '{dotted}': '{'.'.join(parents)}' is {_shown(node)}")


def _child(node: Any, part: str, where: str, *, make: bool) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, where)]
    if isinstance(node, dict):
        if make and node.get(part) is None:
            node[part] = {}
        return node[part]
    raise DcfmError(f"cannot set a key inside '{where}': it is not a mapping")


def _index(node: list[Any], part: str, where: str) -> int:
    if not part.isdigit() or int(part) >= len(node):
        raise DcfmError(f"'{where}': '{part}' is not an index of a list of {len(node)}")
    return int(part)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _name(hint: Any) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, str(hint))


def _shown(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"
