"""Frames from video files, folders of images and V4L2 cameras."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from dcfm_ros.errors import DcfmError
from dcfm_ros.files import name_for_opencv
from dcfm_ros.media.image_file import decode_file
from dcfm_ros.media.image_header import MAX_PIXELS, BadImage, check_size
from dcfm_ros.media.source import FIRST_STAMP_NS, IMAGE_SUFFIXES, Frame, Source, image_files

# Frames that tell whether a video has the rate it announces; times in milliseconds are rounded to whole ones.
_FIRST_FRAMES = 16
_TOLERANCE = 0.2
_MAX_MS = 1e10  # four months; later times are a damaged file's
_MAX_RATE = 1000.0
_MAX_COMPRESSION = 2**16  # bytes of pixels for each byte of the file; a blank frame takes next to nothing
_MATROSKA = b"\x1a\x45\xdf\xa3"  # .mkv, .webm
_IMAGE_SUBFOLDERS = ("image", "images")


class VideoSource(Source):
    """A video file, read with OpenCV (FFmpeg). Stamps are the video's own presentation times plus one second."""

    kind = "video"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        capture = self._capture()
        try:
            self._check_size(capture)
            count, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
            times = _times(capture, 1)
            late = self._late(capture, rate)
            times += _times(capture, _FIRST_FRAMES)
            if not times:
                raise DcfmError(
                    f"{path} holds no readable video frame; it is empty, damaged, cut off, or OpenCV has no decoder for it "
                    f"({_codec(capture)}). If players show it, convert it: `ffmpeg -i {path.name} -c:v libx264 out.mp4`."
                )
            # What is announced is a claim: each frame takes a byte at least.
            self.length = int(count) if 0 < count <= path.stat().st_size else None
            if self.length and late < self.length:
                self.length -= late
            if _differs(times, rate):
                # A variable rate: what the file announces is a clock's, so its frames are counted.
                times += _times(capture)
                self.length, rate = len(times), 1e3 * (len(times) - 1) / (max(times) - min(times))
            self.rate = rate if 1e3 / _MAX_MS < rate < _MAX_RATE else 30.0
        finally:
            capture.release()

    def _capture(self) -> cv2.VideoCapture:
        # Absolute, for FFmpeg takes what is before a colon for a protocol.
        capture = cv2.VideoCapture(name_for_opencv(self.path.absolute()), cv2.CAP_FFMPEG)
        # FFmpeg opens the beginning of a picture as well, of no size.
        if not capture.isOpened() or not capture.get(cv2.CAP_PROP_FRAME_WIDTH):
            raise DcfmError(
                f"{self.path} cannot be read as a video; it is damaged, cut off (a recording that was not finished?) "
                f"or of another kind. Expected: video, folder of images, rosbag2 (folder, .mcap, .db3) or ROS 1 .bag."
            )
        return capture

    def _late(self, capture: cv2.VideoCapture, rate: float) -> int:
        """How many frames there is time for before the first: Matroska announces a duration that counts from 0."""
        with self.path.open("rb") as file:
            if file.read(len(_MATROSKA)) != _MATROSKA or not hasattr(cv2, "CAP_PROP_PTS"):
                return 0
        pts = capture.get(cv2.CAP_PROP_PTS) - _time(capture) * rate / 1e3
        return max(0, round(pts)) if math.isfinite(pts) else 0

    def _check_size(self, capture: cv2.VideoCapture) -> None:
        """Raises BadImage for frames that no file of this size can hold."""
        sides = (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        width, height = (int(side) if abs(side) < 2**31 else 0 for side in sides)
        check_size(f"the video {self.path}", width, height)
        if 3 * width * height > min(3 * MAX_PIXELS, self.path.stat().st_size * _MAX_COMPRESSION):
            raise BadImage(
                f"the video {self.path} announces frames of {width}×{height}, too large for what it holds"
            )

    def _frames(self) -> Iterator[Frame]:
        capture = self._capture()
        try:
            index, last = 0, -1
            while True:
                ok, bgr = capture.read()
                if not ok:
                    break
                # Presentation times follow a variable frame rate; files without them report zero for every frame.
                elapsed = round(_time(capture) * 1e6)
                if elapsed <= last:
                    elapsed = max(round(index * 1e9 / (self.rate or 30.0)), last + 1)
                last = elapsed
                stamp = FIRST_STAMP_NS + elapsed
                yield Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), stamp, stamp, "", f"{index:06d}")
                index += 1
        finally:
            capture.release()
        # By time as well: of a variable rate the number of frames that is announced may be a guess.
        if self.length and max(index, last * (self.rate or 0.0) / 1e9) < 0.9 * self.length:
            self.problem = (
                f"the video ends after {index} of the {self.length} frames it announces; "
                f"the others are cut off, damaged or trimmed"
            )


def _times(capture: cv2.VideoCapture, most: int | None = None) -> list[float]:
    """Presentation times of the next frames, ms; at most `most` of them."""
    times: list[float] = []
    while (most is None or len(times) < most) and capture.grab():
        times.append(_time(capture))
    return times


def _time(capture: cv2.VideoCapture) -> float:
    """Presentation time of the frame that was taken last, ms; 0 where it has none that makes sense."""
    time_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
    return time_ms if 0 <= time_ms < _MAX_MS else 0.0


def _differs(times: list[float], rate: float) -> bool:
    """Whether these times, ms, are those of another rate than the one announced. Where they stand still they tell none."""
    steps = [after - before for before, after in itertools.pairwise(times)]
    if not steps or min(steps) <= 0:
        return False
    return rate <= 0 or max(abs(step * rate / 1e3 - 1) for step in steps) > _TOLERANCE


def _codec(capture: cv2.VideoCapture) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    name = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24))
    return name.strip() if name.isprintable() and name.strip() else "of unknown kind"


class ImageFolder(Source):
    """The images of a folder (or of its sub-folder `image`) in natural order of their names (`files`), at a fixed rate."""

    kind = "images"

    def __init__(self, path: Path, rate: float) -> None:
        super().__init__(path)
        if not 0 < rate <= 1000:
            raise DcfmError(
                f"The rate of a folder of images is frames per second in (0, 1000], not {rate:g}."
            )
        self.folder, self.files = _find_images(path)
        self.length = len(self.files)
        self.rate = rate

    def _frames(self) -> Iterator[Frame]:
        assert self.rate is not None
        for index, file in enumerate(self.files):
            try:
                bgr = decode_file(file.read_bytes(), cv2.IMREAD_COLOR, "an image file")
            except (OSError, BadImage):
                self.skipped["unreadable image file"] += 1
                continue
            stamp = FIRST_STAMP_NS + round(index * 1e9 / self.rate)
            yield Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), stamp, stamp, "", file.stem)


def _find_images(path: Path) -> tuple[Path, list[Path]]:
    candidates = [path, *(path / name for name in _IMAGE_SUBFOLDERS)]
    for folder in candidates:
        if folder.is_dir():
            files = [file for file in image_files(folder) if file.is_file()]
            if files:
                return folder, files
    raise DcfmError(
        f"{path} holds neither images ({' '.join(sorted(IMAGE_SUFFIXES))}) nor a rosbag2 "
        f"(metadata.yaml, .mcap or .db3 files)."
    )


class CameraSource(Source):
    """A V4L2 camera. Endless; stamps are the wall clock when the frame arrived."""

    kind = "camera"

    def __init__(self, path: Path, rate: float | None) -> None:
        super().__init__(path)
        if not path.exists():
            present = " ".join(sorted(str(device) for device in Path("/dev").glob("video*"))) or "none"
            raise DcfmError(f"There is no camera {path}; cameras present: {present}.")
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise DcfmError(
                f"The camera {path} cannot be opened; another program may be using it, this user may lack the rights "
                f"(group `video`), or the device captures no images."
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if rate:
            self._capture.set(cv2.CAP_PROP_FPS, rate)
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or None

    def _frames(self) -> Iterator[Frame]:
        index = 0
        while True:
            ok, bgr = self._capture.read()
            if not ok:
                self.problem = f"the camera {self.path} no longer delivers images"
                return
            now = time.time_ns()
            yield Frame(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), now, now, "camera", f"{index:06d}")
            index += 1

    def close(self) -> None:
        self._capture.release()
