"""Results in JSON files, written from dataclasses and read back into them strictly: the classes are the files' schema."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError

T = TypeVar("T")


def save_result(result: Any, path: str | Path) -> None:
    """Writes a dataclass; the folder is made where it does not exist. NaN and infinities are a ValueError."""
    write_json(asdict(result), path)


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


def write_json(content: Any, path: str | Path) -> None:
    """Writes plain values, all of them or nothing: nobody finds half a file."""
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", Path(path))


def write_text(text: str, path: Path) -> None:
    """Writes a file, all of it or nothing; the folder is made where it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, under a name at which nobody can have put a link or a pipe.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with partial.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_json(path: str | Path) -> Any:
    """The plain values in a file; DcfmError where it cannot be read or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DcfmError(f"'{path}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DcfmError(f"'{path}' is not JSON: {error}") from error
