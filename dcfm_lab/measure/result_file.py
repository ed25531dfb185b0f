"""Results in JSON files, written from dataclasses and read back into them strictly: the classes are the files' schema."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import strict_json, write_json

T = TypeVar("T")


def save_result(result: Any, path: str | Path) -> None:
    """Writes a dataclass; the folder is made where it does not exist. NaN and infinities are a ValueError."""
    write_json(asdict(result), Path(path))


def load_result(cls: type[T], path: str | Path, format: str, command: str) -> T:
    """The result in a file that `command` wrote, whose field `format` says so.

    Raises DcfmError where the file is missing, is something else or does not fit the dataclass `cls`.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != format:
        raise DcfmError(f"'{path}' is not a result of `{command}` (format '{format}')")
    try:
        return from_mapping(cls, content)
    except DcfmError as error:
        raise DcfmError(f"'{path}': {error}") from error


def read_json(path: str | Path) -> Any:
    """The plain values in a file; DcfmError where it cannot be read or is not JSON."""
    try:
        return strict_json(Path(path).read_bytes())
    except OSError as error:
        raise DcfmError(f"'{path}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DcfmError(f"'{path}' is not JSON: {error}") from error
