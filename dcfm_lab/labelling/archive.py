"""The files of a zip archive or of a folder, read in memory and never unpacked."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from dcfm_ros.errors import DcfmError

MAX_FILES = 100_000
MAX_BYTES = 64 * 2**20
"""The largest file that is read; a label image of 4K takes a hundredth."""


class Archive:
    """files: their names, relative, with slashes. Raises DcfmError for what is neither, or names files outside of itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self.files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        else:
            try:
                self._zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, ValueError) as error:
                raise DcfmError(
                    f"'{path}' is no zip archive: {error}; expected what CVAT or Label Studio exports"
                ) from error
            self.files = sorted(i.filename for i in self._zip.infolist() if not i.is_dir())
        if len(self.files) > MAX_FILES:
            raise DcfmError(f"'{path}' holds {len(self.files)} files; expected {MAX_FILES} at most")
        for name in self.files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise DcfmError(f"'{path}' holds '{name}', which lies outside of it; it is not used")

    def read(self, name: str) -> bytes:
        """A file's content. Raises DcfmError where it cannot be read or is larger than MAX_BYTES."""
        try:
            with self._zip.open(name) if self._zip else (self.path / name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (
            OSError,
            RuntimeError,
            NotImplementedError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise DcfmError(f"'{name}' in '{self.path}' cannot be read: {error}") from error
        if len(data) > MAX_BYTES:
            raise DcfmError(f"'{name}' in '{self.path}' is larger than {MAX_BYTES // 2**20} MiB")
        return data

    def close(self) -> None:
        if self._zip:
            self._zip.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
