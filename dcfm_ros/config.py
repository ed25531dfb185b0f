"""The one strict way from YAML, JSON, ROS parameters and the command line into typed dataclasses.

A value means the same wherever it comes from, and is checked in the same way where a dataclass is made in Python:
`check` in its `__post_init__` sees to that. What a field's type does not say is in its metadata, see `setting`.
"""

from __future__ import annotations

import functools
import os
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from dcfm_ros.errors import DcfmError
from dcfm_ros.strict_yaml import strict_yaml

_hints: Callable[[Any], dict[str, Any]] = functools.cache(get_type_hints)
T = TypeVar("T")
Size = tuple[int, int]  # (width, height) in pixels
MAX_SIDE = 16384

_NOUNS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    Size: "WIDTHxHEIGHT",
}
_TRUTH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def setting(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: Collection[str] = (),
    removed: Mapping[str, str] | None = None,
    **more: Any,
) -> Any:
    """A dataclass field that says what its values are.

    help: what it is, for the command line, ROS and the documentation.
    low, high: the smallest and the largest value, of a list: of each item. None: no limit.
    choices: the only values of a text; where the type allows a size, too, the words that may stand for one.
    removed: former values, and what to use instead.
    more: further metadata, for whoever reads it.
    """
    limits = {"low": low, "high": high, "choices": tuple(choices), "removed": removed or {}}
    return field(default=default, metadata={"help": help, **limits, **more})


def allowed(item: Field[Any]) -> str:
    """The choices or the range of a `setting`, in words; "" where it has neither."""
    choices = item.metadata["choices"]
    if choices and "Size" in str(item.type):
        choices = (*choices, _NOUNS[Size])
    return ", ".join(choices) or _range(item.metadata)


# -- from plain values -----------------------------------------------------------------------------------------


def from_mapping(cls: type[T], values: object, where: str = "") -> T:
    """`values` as an instance of the dataclass `cls`, whose fields may be dataclasses, tuples of them, or plain types.

    `where` is the path of `values` in the file, as in `data.train.0`, for the messages. Raises DcfmError for an unknown
    key (listing the known ones), a missing one, and a value of the wrong type or out of range. A whole number is taken
    for a float and the other way round, a list for a tuple, and "480x360" for a size; nothing else is converted.
    """
    if not isinstance(values, Mapping):
        raise _unexpected(where or cls.__name__, values, "a mapping of keys to values")
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise DcfmError(f"unknown key '{_join(where, key)}'; known: {', '.join(known)}")
    for name, item in known.items():
        if name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise DcfmError(f"key '{_join(where, name)}' is missing; it has no default")
    hints = _hints(cls)
    return cls(
        **{
            key: convert(hints[key], value, _join(where, key), known[key].metadata)
            for key, value in values.items()
        }
    )


def check(config: Any) -> None:
    """Bring every field of a frozen dataclass into its type, or raise DcfmError: for its `__post_init__`."""
    hints = _hints(type(config))
    for item in fields(config):
        value = convert(hints[item.name], getattr(config, item.name), item.name, item.metadata)
        object.__setattr__(config, item.name, value)


_NO_LIMITS: Mapping[str, Any] = {}


def convert(hint: Any, value: Any, where: str, limits: Mapping[str, Any] = _NO_LIMITS) -> Any:
    """`value` as the type `hint` within `limits` (see `setting`), or DcfmError naming `where`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(value, str) and value in limits.get("removed", ()):
        raise DcfmError(f"{where} '{value}' was removed; use {limits['removed'][value]}")
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return value if isinstance(value, hint) else from_mapping(hint, value, where)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, where, limits)
    if origin is Literal:
        return _chosen(arguments, value, where)
    if hint == Size:
        return parse_size(value, where)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if origin is tuple:
        return _items(arguments, value, where, limits)
    if origin is dict:
        if not isinstance(value, dict):
            raise _unexpected(where, value, "a mapping of keys to values")
        return value
    if limits.get("choices"):
        return _chosen(limits["choices"], value, where)
    return _number(hint, value, where, limits) if hint in (int, float) else _plain(hint, value, where)


def _one_of(arguments: tuple[Any, ...], value: Any, where: str, limits: Mapping[str, Any]) -> Any:
    """`X | None`, or a size for which some words may stand."""
    if value is None and type(None) in arguments:
        return None
    if Size not in arguments:
        return convert(next(a for a in arguments if a is not type(None)), value, where, limits)
    if value in (words := limits["choices"]):
        return value
    return parse_size(value, where, f"{', '.join(map(repr, words))} or WIDTHxHEIGHT", smallest=1)


def _chosen(known: Sequence[Any], value: Any, where: str) -> Any:
    if value not in known:
        raise _unexpected(where, value, f"one of {', '.join(map(str, known))}")
    return value


def _items(arguments: tuple[Any, ...], value: Any, where: str, limits: Mapping[str, Any]) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise _unexpected(where, value, "a list")
    endless = arguments[-1] is Ellipsis
    if not endless and len(value) != len(arguments):
        raise _unexpected(where, value, f"a list of {len(arguments)}")
    hints = [arguments[0]] * len(value) if endless else arguments
    return tuple(
        convert(hint, item, _join(where, i), limits)
        for i, (hint, item) in enumerate(zip(hints, value, strict=True))
    )


def _number(hint: type, value: Any, where: str, limits: Mapping[str, Any]) -> Any:
    low, high = limits.get("low"), limits.get("high")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and (isinstance(value, int) or value.is_integer())
    # Written so that NaN is never within limits.
    within = number and (low is None or value >= low) and (high is None or value <= high)
    if not within or (hint is int and not whole):
        raise _unexpected(where, value, _NOUNS[hint] + _range(limits, " from {} to {}", " of {} or more"))
    try:
        return hint(value)
    except OverflowError:  # a whole number that is no float
        raise DcfmError(f"{where} is a number of hundreds of digits; expected {_NOUNS[hint]}") from None


def _range(limits: Mapping[str, Any], both: str = "{} to {}", only_low: str = "{} or more") -> str:
    low, high = limits.get("low"), limits.get("high")
    if low is None:
        return ""
    return only_low.format(f"{low:g}") if high is None else both.format(f"{low:g}", f"{high:g}")


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is not Any and type(value) is not hint:
        raise _unexpected(where, value, _NOUNS.get(hint, str(hint)))
    return value


def parse_size(value: object, where: str, expected: str = _NOUNS[Size], *, smallest: int = 0) -> Size:
    """A list of two whole numbers or "WIDTHxHEIGHT" as (width, height), `smallest` to MAX_SIDE each.

    Raises DcfmError naming `where` and what was expected.
    """
    match = (
        re.fullmatch(r"\s*\[?\s*(\d{1,9})\s*[x×,]\s*(\d{1,9})\s*\]?\s*", value)
        if isinstance(value, str)
        else None
    )
    pair = tuple(map(int, match.groups())) if match else value
    try:
        width, height = _items((int, int), pair, where, {})
    except DcfmError:
        raise _unexpected(where, value, expected) from None
    if not (smallest <= width <= MAX_SIDE and smallest <= height <= MAX_SIDE):
        raise DcfmError(f"{where} is {value!r}; width and height must be from {smallest} to {MAX_SIDE}")
    return width, height


# -- from text and files ---------------------------------------------------------------------------------------


def plain_value(text: str, where: str) -> Any:
    """What `text` means as a value in a YAML file. Raises DcfmError naming `where`."""
    try:
        return strict_yaml(text)
    except ValueError as error:
        raise DcfmError(f"{where} is '{text}', which is not valid YAML: {error}") from error


def from_text(cls: type, name: str, text: str, where: str = "") -> Any:
    """The value of the field `name` of the dataclass `cls` that a word of the command line stands for.

    A single word does where a list is meant. Raises DcfmError naming `where`, else the field.
    """
    item = next(item for item in fields(cls) if item.name == name)
    hint, where = _hints(cls)[name], where or name
    if hint is bool:
        return truth(text, where)
    # What is text stays as it was written: `off` may be a name, and YAML knows no 480x360.
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    verbatim = get_origin(hint) is Literal or not {str, Path, Size}.isdisjoint(kinds)
    value: Any = text if verbatim else plain_value(text, where)
    if not verbatim and get_origin(hint) is tuple and not isinstance(value, list):
        value = [value]
    return convert(hint, value, where, item.metadata)


def truth(text: str, where: str) -> bool:
    """`true`, `yes`, `on` or 1, and their opposites. Raises DcfmError for anything else, naming `where`."""
    if text.lower() not in _TRUTH:
        raise _unexpected(where, text, "true or false")
    return _TRUTH[text.lower()]


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The keys and values in a YAML file; DcfmError, which begins with `what`, where there is none."""
    try:
        values = strict_yaml(path.read_text(encoding="utf-8")) or {}
    except ValueError as error:
        raise DcfmError(f"{what} '{path}' is not valid YAML: {error}") from error
    except OSError as error:
        raise DcfmError(f"{what} '{path}' cannot be read: {error.strerror}") from error
    if not isinstance(values, dict):
        raise DcfmError(f"{what} '{path}' must hold keys and values")
    return values


# -- the machine -----------------------------------------------------------------------------------------------


def usable_cores() -> int:
    """How many cores this process may run on: fewer than the machine has where a container or `taskset` says so."""
    return len(allowed_cores()) or os.cpu_count() or 1


def allowed_cores() -> set[int]:
    """The cores that this thread may run on; empty where the system does not say."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _unexpected(where: str, value: object, expected: str) -> DcfmError:
    return DcfmError(f"{where} is {value!r}; expected {expected}")
