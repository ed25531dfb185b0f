"""Files that are written whole or not at all and never over what is needed, and JSON that is read strictly."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dcfm_ros.errors import DcfmError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its name when all of it is on the disk; nothing is left where that fails.

    The folder is made where it does not exist. Raises OSError, whose `filename` is `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside it, under a name at which nobody can have put a link or a pipe.
    partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(text: str, path: Path) -> None:
    """Writes a file, all of it or nothing; the folder is made where it does not exist."""
    with whole_file(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def write_json(content: Any, path: Path) -> None:
    """Writes plain values as `write_text` does; NaN and infinities are a ValueError."""
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", path)


def check_apart(output: Path, read: Iterable[Path], *, emptied: bool = False) -> None:
    """To be called before work begins: whether writing `output` leaves alone what is read.

    read: files and folders. emptied: `output` is a folder whose files go first, so that nothing that is read may lie in it.

    Raises DcfmError where `output` is, or lies in, what is read, or `emptied` holds some of it.
    """
    real = output.resolve()
    for path in read:
        source = path.resolve()
        if emptied and real in (source, *source.parents):
            raise DcfmError(
                f"{path} is read by this command and lies in its output folder {output}; choose another folder."
            )
        if not emptied and source in (real, *real.parents):
            lies = "" if real == source else f"lies in {path}, which "
            raise DcfmError(f"The output {output} {lies}is read by this command; choose another.")


def name_for_opencv(path: Path) -> Any:
    """A path as OpenCV takes it: where its name is not UTF-8, as bytes, since text ends the process with signal 11."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return str(path)


def check_outputs(outputs: Iterable[Path], *, force: bool, read: Iterable[Path] = ()) -> None:
    """To be called before work begins: whether files can be written, and nothing that matters goes.

    read: files and folders that the command reads.
    Raises DcfmError: a file is there already and `force` is not given, or the command reads it; it is a folder;
    its folder cannot be written.
    """
    read = list(read)
    for path in outputs:
        if path.is_dir():
            raise DcfmError(f"The output {path} is a folder; give the name of a file.")
        if os.path.lexists(path):
            check_apart(path, read)
            if not force:
                raise DcfmError(f"The output {path} exists already; add --force to replace it.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            probe = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
            probe.open("xb").close()
            probe.unlink()
        except OSError as error:
            raise DcfmError(f"The output {path} cannot be written: {error.strerror}.") from error


def strict_json(text: str | bytes) -> Any:
    """The plain values in a JSON text.

    Raises ValueError where it is none: NaN, infinities, numbers beyond floats, a name given twice and endless nesting are
    not JSON either.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"'{counts.most_common(1)[0][0]}' is given twice")
    return content


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a number of JSON")
