"""The records of a run of any length: on disk, so that a long recording needs no more memory than a short one."""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from typing import overload

from dcfm_ros.replay.frame_record import FrameRecord

_CHUNK = 512


class FrameStore(Sequence[FrameRecord]):
    """A sequence that grows by `append`, kept in chunks in a temporary file that vanishes with it."""

    def __init__(self) -> None:
        self._begins: list[int] = []  # of each full chunk, in the file
        self._newest: list[FrameRecord] = []  # the chunk that is not full yet
        self._file = tempfile.TemporaryFile(prefix="dcfm_records_")  # noqa: SIM115, it lives as long as this

    def append(self, record: FrameRecord) -> None:
        """Add the next frame's record."""
        self._newest.append(record)
        if len(self._newest) == _CHUNK:
            self._begins.append(self._file.seek(0, os.SEEK_END))
            pickle.dump(self._newest, self._file, pickle.HIGHEST_PROTOCOL)
            self._newest = []

    def __len__(self) -> int:
        return len(self._begins) * _CHUNK + len(self._newest)

    def __iter__(self) -> Iterator[FrameRecord]:
        return self._from(0)

    @overload
    def __getitem__(self, index: int) -> FrameRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[FrameRecord]: ...
    def __getitem__(self, index: int | slice) -> FrameRecord | list[FrameRecord]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step < 1:
                raise ValueError("records are read forwards")
            return list(itertools.islice(self._from(start), 0, max(0, stop - start), step))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return next(self._from(index % len(self)))

    def _from(self, start: int) -> Iterator[FrameRecord]:
        first, skipped = divmod(start, _CHUNK)
        for number in range(first, len(self._begins) + 1):
            chunk = self._chunk(number)
            yield from chunk[skipped:]
            skipped = 0

    def _chunk(self, number: int) -> list[FrameRecord]:
        if number == len(self._begins):
            return self._newest
        self._file.seek(self._begins[number])
        records: list[FrameRecord] = pickle.load(self._file)
        return records
