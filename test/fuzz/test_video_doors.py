"""Videos: damaged anywhere, with sizes, rates, lengths and times that make no sense."""

import functools
import math
import struct

import cv2
import numpy as np
import pytest
from doors import answer, door
from hypothesis import strategies as st
from mutations import mutated

from dcfm_ros.media.files import VideoSource
from dcfm_ros.media.image_header import MAX_SIDE

FRAMES = 5
KINDS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".mov": "mp4v"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@functools.cache
def real(folder, suffix):
    path = folder / f"real{suffix}"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*KINDS[suffix]), 10.0, (64, 48)
    )
    if not writer.isOpened():
        pytest.skip(f"OpenCV writes no {suffix} here")
    rng = np.random.default_rng(0)
    for _ in range(FRAMES):
        writer.write(cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48)))
    writer.release()
    return path.read_bytes()


@pytest.mark.parametrize("suffix", KINDS)
@door(30, data=st.data())
def test_videos_of_any_bytes(folder, suffix, data):
    whole = real(folder, suffix)
    content = data.draw(mutated(whole))
    path = folder / f"any{suffix}"
    path.write_bytes(content)
    source = answer(VideoSource, path)
    if source is None:
        assert content != whole
        return
    assert source.length is None or 0 < source.length <= len(content)
    assert source.rate > 0 and math.isfinite(source.rate)
    frames = answer(list, source) or []
    assert len(frames) == FRAMES or content != whole
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(set(stamps)) and all(0 < stamp < 2**63 for stamp in stamps)
    assert all(max(frame.rgb.shape) <= MAX_SIDE for frame in frames)


def lying_avi(folder, **claims):
    """A real AVI whose head says something else. length: of frames. scale, rate: frames per second is the latter over the
    former. size: width and height."""
    content = bytearray(real(folder, ".avi"))
    main, stream, form = (content.index(name) + 8 for name in (b"avih", b"strh", b"strf"))
    places = {
        "length": (main + 16, stream + 32),
        "scale": (stream + 20,),
        "rate": (stream + 24,),
        "width": (main + 32, form + 4),
        "height": (main + 36, form + 8),
    }
    for name, value in claims.items():
        for at in places[name]:
            content[at : at + 4] = struct.pack("<I", value)
    path = folder / "lying.avi"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "claims",
    [
        {"length": 2**31 - 1},
        {"rate": 2**31 - 1, "scale": 1},
        {"rate": 1, "scale": 2**31 - 1},
        {"rate": 0, "scale": 0},
    ],
)
def test_what_a_video_says_of_itself_is_a_claim(folder, claims):
    source = VideoSource(lying_avi(folder, **claims))
    assert source.length in (None, FRAMES) and 0 < source.rate < 1000
    assert len(list(source)) == FRAMES and "announces" not in source.problem


@pytest.mark.parametrize("side", [30_000, 2**31 - 1, 0])
def test_frames_that_are_too_large_are_refused_or_read_as_they_are(folder, side):
    source = answer(VideoSource, lying_avi(folder, width=side, height=side))
    frames = answer(list, source) if source else None
    assert not frames or {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
