"""The records of a run of any length: on disk, so that a long recording needs no more memory than a short one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, overload

import numpy as np

from dcfm_ros.replay.frame_record import STEPS, FrameRecord

_CHUNK = 512
_INTEGERS = ("stamp_ns", "key_stamp_ns", "age_frames")
_OTHERS = ("key_frame", "trigger", "steps", "shares")
_FLOATS = tuple(item.name for item in fields(FrameRecord) if item.name not in (*_INTEGERS, *_OTHERS))
_NUMBERS = (*_INTEGERS, *_FLOATS)


class FrameStore(Sequence[FrameRecord]):
    """A sequence that grows by `append`, kept in a temporary file that vanishes with it.

    Numbers come back as they went in, shares of classes as float32.

    Args:
        num_classes: length of each record's `shares`, where it has any.
    """

    def __init__(self, num_classes: int) -> None:
        self._row = np.dtype(
            [
                *((name, np.int64) for name in _INTEGERS),
                *((name, np.float64) for name in _FLOATS),
                ("key_frame", np.bool_),
                ("trigger", np.uint16),
                ("steps", np.float64, (len(STEPS),)),
                ("has_shares", np.bool_),
                ("shares", np.float32, (num_classes,)),
            ]
        )
        self._triggers: list[str] = [""]
        self._buffer = np.zeros(_CHUNK, self._row)
        self._length = 0
        self._file = tempfile.TemporaryFile(prefix="dcfm_records_")  # noqa: SIM115, it lives as long as this

    def append(self, record: FrameRecord) -> None:
        """Add the next frame's record."""
        if record.trigger not in self._triggers:
            self._triggers.append(record.trigger)
        row = self._buffer[self._length % _CHUNK]
        for name in (*_NUMBERS, "key_frame"):
            row[name] = getattr(record, name)
        row["trigger"] = self._triggers.index(record.trigger)
        row["steps"] = [record.steps.get(step, np.nan) for step in STEPS]
        row["has_shares"] = bool(record.shares)
        row["shares"] = record.shares or 0
        self._length += 1
        if self._length % _CHUNK == 0:
            self._file.write(self._buffer.tobytes())
            self._file.flush()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[FrameRecord]:
        return self._between(0, self._length)

    @overload
    def __getitem__(self, index: int) -> FrameRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[FrameRecord]: ...
    def __getitem__(self, index: int | slice) -> FrameRecord | list[FrameRecord]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step < 1:
                raise ValueError("records are read forwards")
            return list(self._between(start, stop))[::step]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return next(self._between(index % self._length, self._length))

    def _between(self, start: int, stop: int) -> Iterator[FrameRecord]:
        for chunk in range(start // _CHUNK, -(-stop // _CHUNK)):
            first = chunk * _CHUNK
            rows = self._rows(chunk)[max(0, start - first) : stop - first]
            yield from map(self._record, rows.tolist())

    def _rows(self, chunk: int) -> np.ndarray:
        if chunk == self._length // _CHUNK:
            return self._buffer
        size = self._row.itemsize * _CHUNK
        return np.frombuffer(os.pread(self._file.fileno(), size, chunk * size), self._row)

    def _record(self, row: tuple[Any, ...]) -> FrameRecord:
        key_frame, trigger, steps, has_shares, shares = row[len(_NUMBERS) :]
        return FrameRecord(
            **dict(zip(_NUMBERS, row, strict=False)),
            key_frame=key_frame,
            trigger=self._triggers[trigger],
            steps={step: ms for step, ms in zip(STEPS, steps, strict=True) if ms == ms},
            shares=tuple(shares) if has_shares else (),
        )
