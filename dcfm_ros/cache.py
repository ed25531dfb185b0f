"""A folder on disk for what takes long to build: built once, checked whenever it is used again.

~/.cache/dcfm_ros/FOLDER/NAME-KEYHASH/      (DCFM_CACHE, else XDG_CACHE_HOME/dcfm_ros)
    manifest.json                           the key, and the SHA-256 of each file
    ...                                     the files
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from dcfm_ros.files import strict_json

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
OWN_PREFIX = "dcfm-"
"""What the name of a folder for one process alone begins with."""
ALIVE = ".alive"
"""A file in it that is locked as long as that process lives."""
KEPT = 24
"""Entries of a folder beyond this many go, those that were used longest ago first."""

Build = Callable[[Path], None]
"""Writes an entry's files into the folder it is given."""


def cached(
    name: str,
    key: Mapping[str, str],
    build: Build,
    *,
    folder: str | Path = "",
    kept: int = KEPT,
    fresh: bool = False,
) -> Path:
    """The folder with what `build` writes; built if it is not there, or not as it was written.

    key: everything that the files depend on. folder: where entries of this kind lie, below `cache_root` unless it is
    absolute. kept: how many of them. fresh: build it in any case. Of several processes that need the same entry one
    builds and the others wait. Where the folder cannot be written, the entry is built for this process alone, and a
    warning says so. Raises what `build` raises; nothing is left behind then.
    """
    root = cache_root() / folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        entry = root / f"{name}-{digest_of(key)}"
        if not fresh and is_whole(entry, key):
            _touch(entry)
            return entry
        with _locked(_lock_of(entry), name):
            if fresh or not is_whole(entry, key):
                _build_into(entry, key, build)
                _forget_oldest(root, kept)
            return entry
    except OSError as error:
        logger.warning(
            "the cache %s cannot be used, so that every start takes as long as the first: %s; "
            "set DCFM_CACHE to a folder that can be written",
            root,
            error,
        )
        return _build_for_this_process(name, digest_of(key), build)


def cache_root() -> Path:
    """The folder of all entries."""
    if os.environ.get("DCFM_CACHE"):
        return Path(os.environ["DCFM_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "dcfm_ros"


def is_whole(entry: Path, key: Mapping[str, str]) -> bool:
    """Whether an entry was made for this key and has every byte that was written then."""
    if not entry.is_dir():
        return False
    try:
        manifest = strict_json((entry / MANIFEST).read_bytes())
        if manifest["key"] != dict(key):
            raise ValueError("it was made for another key")
        for name, digest in manifest["files"].items():
            if file_digest(entry / name) != digest:
                raise ValueError(f"'{name}' is not as it was written")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("the cache entry %s is damaged and built again: %s", entry, error)
        return False
    return True


def file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@functools.cache
def code_digest(*rooms: str) -> str:
    """A hash of the source files in these rooms of the package, for keys of what they compute."""
    digest = hashlib.sha256()
    for path in sorted(path for room in rooms for path in (Path(__file__).parent / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def digest_of(key: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:16]


def _build_into(entry: Path, key: Mapping[str, str], build: Build) -> None:
    """The entry appears whole or not at all."""
    partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        build(partial)
        files = {
            path.relative_to(partial).as_posix(): file_digest(path)
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        (partial / MANIFEST).write_text(json.dumps({"key": dict(key), "files": files}, indent=1))
        partial.chmod(0o755)
        if entry.exists():
            shutil.rmtree(entry)
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _lock_of(entry: Path) -> Path:
    """The file that is locked while an entry is built."""
    return entry.parent / f".{entry.name}.lock"


def _sweep(root: Path) -> None:
    """Removes what builders that were killed have left half built."""
    for partial in [path for path in root.glob(".*.*") if path.is_dir()]:
        entry = root / partial.name[1:].rpartition(".")[0]
        with contextlib.suppress(OSError), _lock_of(entry).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while that entry's builder lives
            shutil.rmtree(partial, ignore_errors=True)


def _build_for_this_process(name: str, digest: str, build: Build) -> Path:
    folder = _own_folder()[0] / f"{name}-{digest}"
    if not folder.exists():
        folder.mkdir()
        try:
            build(folder)
        except BaseException:
            shutil.rmtree(folder)
            raise
    return folder


def remove_own_folder() -> None:
    """Remove what was built for this process alone, and what processes that have ended have left behind.

    At the end of Python this happens by itself; call it before ending the process in another way (os._exit).
    """
    if _own_folder.cache_info().currsize:
        folder, alive = _own_folder()
        shutil.rmtree(folder, ignore_errors=True)
        alive.close()
        _own_folder.cache_clear()
        _forget_ended_processes()  # among them its children, which are killed where they stand


@functools.cache
def _own_folder() -> tuple[Path, IO[str]]:
    """A folder that goes when the process ends, and a file in it that is locked until then."""
    _forget_ended_processes()
    # It gets the name that others look for when it is locked: before that they could take it for a dead one's.
    unnamed = Path(tempfile.mkdtemp(prefix=f".{OWN_PREFIX}"))
    alive = (unnamed / ALIVE).open("x")
    fcntl.flock(alive, fcntl.LOCK_EX)
    folder = unnamed.rename(unnamed.with_name(unnamed.name[1:]))
    atexit.register(remove_own_folder)
    return folder, alive


def _forget_ended_processes() -> None:
    """One that was killed could not remove its folder. Its number would say nothing in a container that shares ours."""
    for folder in Path(tempfile.gettempdir()).glob(f"{OWN_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / ALIVE).open() as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    """Holds a lock between processes (and threads), which ends with its holder however that ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("another process is building %s; waiting for it", what)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _touch(entry: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(entry, (time.time(), time.time()))


def _forget_oldest(root: Path, kept: int) -> None:
    entries = [
        path for path in root.iterdir() if (path / MANIFEST).is_file() and not path.name.startswith(".")
    ]
    for entry in sorted(entries, key=lambda path: path.stat().st_mtime, reverse=True)[kept:]:
        shutil.rmtree(entry, ignore_errors=True)
