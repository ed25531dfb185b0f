"""Image files in memory to pixels, by OpenCV, within limits that are checked before: the one place that decodes them."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Collection
from typing import Any

import cv2
import numpy as np

from dcfm_ros.media.image_header import BadImage, Header, read_header
from dcfm_ros.media.jpeg_parts import has_hole, without_padding

ON_TOPICS = ("jpeg", "png", "tiff")
"""What image_transport's publishers write."""
IN_FILES = (*ON_TOPICS, "bmp", "webp", "pnm")

# What libjpeg and libtiff say of a picture that they complete with something else.
_COMPLAINT = re.compile(
    rb"(?:\[[A-Z ]+:\d+@.* TIFF_Warning JPEGLib: )?((?:Corrupt JPEG data|Premature end of JPEG file|Invalid SOS parameters|"
    rb"Inconsistent progression sequence|Unknown Adobe color transform).*)|\[[A-Z ]+:\d+@.* TIFF_Error (.*)"
)

_EXTRANEOUS = "extraneous bytes before marker"


def decode_file(data: Any, flags: int, what: str, kinds: Collection[str] = IN_FILES) -> np.ndarray:
    """The pixels of an image file, as cv2.imdecode gives them for these flags.

    data: any buffer with the file. what: what it is, for messages. kinds: those that are opened.
    Raises BadImage: no data, another kind, a size beyond the limits of `image_header`, a file that is truncated
    or damaged, or that does not decode.
    """
    return decode_known(data, flags, what, header_of(data, what, kinds))


def header_of(data: Any, what: str, kinds: Collection[str] = IN_FILES) -> Header:
    """The header of an image file. Raises BadImage as `decode_file` does."""
    view = memoryview(data)
    if not view.nbytes:
        raise BadImage(f"{what} has no data")
    header = read_header(view.cast("B"), what)
    if header.kind not in kinds:
        raise BadImage(f"{what} is {header.kind.upper()}; expected {', '.join(kinds).upper()}")
    return header


def decode_known(data: Any, flags: int, what: str, header: Header) -> np.ndarray:
    """`decode_file` where the header has been read."""
    buffer = np.frombuffer(data, np.uint8)
    try:
        pixels, complaint = _imdecode(buffer, flags, listen=header.kind in ("jpeg", "tiff"))
        if header.kind == "jpeg" and (pixels is None or _EXTRANEOUS in complaint):
            # Of several complaints libjpeg tells the first only: what else there is, is heard without the padding.
            bare = np.frombuffer(without_padding(memoryview(data).cast("B")), np.uint8)
            pixels, again = _imdecode(bare, flags, listen=True)
            complaint = again and (complaint or again)
        if header.kind == "jpeg" and not complaint and has_hole(memoryview(data).cast("B")):
            complaint = "part of it is lost: zeros instead"
    except (cv2.error, MemoryError) as error:
        raise BadImage(f"{what}: OpenCV cannot decode it ({getattr(error, 'err', error)})") from error
    if pixels is None:
        raise BadImage(
            f"{what} ({buffer.size} bytes) does not decode; expected a whole {header.kind.upper()}"
        )
    if complaint:
        # OpenCV would hand on what the library made up for the missing part, and the mask would be wrong there.
        raise BadImage(f"{what} ({buffer.size} bytes) is a damaged {header.kind.upper()}: {complaint}")
    return pixels


def _imdecode(buffer: np.ndarray, flags: int, *, listen: bool) -> tuple[np.ndarray | None, str]:
    """The pixels, and what libjpeg complained of."""
    if not listen:
        return cv2.imdecode(buffer, flags), ""
    pixels, complaint, alone = _listener.decode(buffer, flags, alone=False)
    if complaint and not alone:  # it may be about the picture of another thread
        pixels, complaint, _ = _listener.decode(buffer, flags, alone=True)
    return pixels, complaint


class _Listener:
    """Hears what libjpeg tells of damage, which is on the process's standard error and nowhere else.

    While pictures are decoded, standard error goes to a file in memory; what others write there in the meantime is
    handed on.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = self._begun = 0
        self._alone = False  # one thread wants to be, or is
        self._heard = self._stderr = -1

    def decode(self, buffer: np.ndarray, flags: int, *, alone: bool) -> tuple[np.ndarray | None, str, bool]:
        """The pixels, the complaint, and whether no other thread decoded at the same time."""
        number, start, others = self._begin(alone)
        pixels, complaint = None, b""
        try:
            pixels = cv2.imdecode(buffer, flags)
        finally:
            with self._changed:
                undisturbed = not others and self._begun == number
                complaint = self._end(start, alone)
        return pixels, complaint.decode("ascii", "replace"), undisturbed

    def forked(self) -> None:
        """In a child process: none of the threads that were at work is here, and none will release the lock."""
        if self._at_work and self._stderr >= 0:
            os.dup2(self._stderr, 2)
        self.__init__()  # type: ignore[misc]

    def _begin(self, alone: bool) -> tuple[int, int, int]:
        """This thread's number, where its complaints will begin, and how many others are at work."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            if alone:
                self._alone = True
                self._changed.wait_for(lambda: not self._at_work)
            if not self._at_work:
                self._redirect()
            others, self._at_work, self._begun = self._at_work, self._at_work + 1, self._begun + 1
            return self._begun, os.fstat(self._heard).st_size, others

    def _end(self, start: int, alone: bool) -> bytes:
        """The first complaint since `start`, in words of one line."""
        text = os.pread(self._heard, 4096, start)
        self._at_work -= 1
        if not self._at_work:
            self._restore()
        if alone:
            self._alone = False
        self._changed.notify_all()
        return next(
            (found[1] or found[2] for found in map(_COMPLAINT.match, text.splitlines()) if found), b""
        )

    def _redirect(self) -> None:
        if self._heard < 0:
            self._heard = _file_in_memory()
        try:
            self._stderr = os.dup(2)
        except OSError:  # it is closed
            self._stderr = -1
        os.dup2(self._heard, 2)

    def _restore(self) -> None:
        if self._stderr < 0:
            os.close(2)
        else:
            os.dup2(self._stderr, 2)
            os.close(self._stderr)
        length = os.fstat(self._heard).st_size
        if not length:
            return
        lines = os.pread(self._heard, length, 0).splitlines(keepends=True)
        os.ftruncate(self._heard, 0)
        os.lseek(self._heard, 0, os.SEEK_SET)
        if self._stderr >= 0 and (others := [line for line in lines if not _COMPLAINT.match(line)]):
            os.write(2, b"".join(others))


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dcfm_stderr")
    file, path = tempfile.mkstemp()
    os.unlink(path)
    return file


_listener = _Listener()
os.register_at_fork(after_in_child=_listener.forked)
