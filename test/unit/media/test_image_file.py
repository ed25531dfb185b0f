"""Files that ask for far more than they hold are refused before they are decoded, damaged ones after it."""

from __future__ import annotations

import os
import re
import resource
import struct
import subprocess
import sys
import threading
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcfm_ros.media.image_decode import decode_compressed
from dcfm_ros.media.image_file import decode_file
from dcfm_ros.media.image_header import BadImage

LARGE = 16000  # a side within the limit; its square is not


def picture(width: int = 640, height: int = 480) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = [127 + 60 * np.sin(x / (9 + 4 * c)) + 50 * np.cos(y / (13 - 3 * c)) for c in range(3)]
    return np.dstack(waves).astype(np.uint8)


def encoded(extension: str, pixels: np.ndarray | None = None) -> bytes:
    return cv2.imencode(extension, picture() if pixels is None else pixels)[1].tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, body: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg(width: int, height: int, *, before: bytes = b"", fill: int = 0, body: bytes = b"") -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0])
    size = b"\xff" * (1 + fill) + b"\xc2" + struct.pack(">H", 2 + len(frame)) + frame
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes(10) + body
    return b"\xff\xd8" + before + size + scan + b"\xff\xd9"


def tiff(width: int, height: int, **tags: int) -> bytes:
    fields = {256: width, 257: height, 258: 8, 277: 3} | {
        int(name[1:]): value for name, value in tags.items()
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    return b"II*\x00" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4)


def bmp(width: int, height: int, compression: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1100, 0, 0, 1078) + header + bytes(1024)


def webp(width: int, height: int, flags: int = 0) -> bytes:
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<IB", 10, flags) + bytes(3) + sides


THUMBNAIL = b"\xff\xe1\x00\x20" + (b"Exif\x00\x00" + jpeg(8, 8))[:30].ljust(30, b"\x00")
BOMBS = {
    "GIF": b"GIF89a"
    + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
    + b",\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02L\x01\x00;",
    "BMP, run lengths": bmp(LARGE, 2000, 1),
    "BMP, truncated": bmp(LARGE, 2000, 0),
    "PNG, side": png(2**30, 1),
    "PNG, area": png(LARGE, LARGE, bytes(1 << 20)),
    "PNG, no data": png(8000, 8000),
    "PNG, chunk before the end": png(640, 480).replace(b"\x00\x00\x00\x00IDAT", b"\x7f\x00\x00\x00IDAT"),
    "JPEG, area": jpeg(LARGE, LARGE, body=bytes(1 << 20)),
    "JPEG, fill bytes": jpeg(LARGE, LARGE, fill=3, body=bytes(1 << 20)),
    "JPEG, thumbnail": jpeg(LARGE, LARGE, before=THUMBNAIL, fill=9, body=bytes(1 << 20)),
    "JPEG, no data": jpeg(8000, 8000),
    "JPEG, scans": jpeg(640, 480, body=(b"\xff\xda\x00\x0c" + bytes(10)) * 200),
    "JPEG, segments": jpeg(640, 480, before=b"\xff\xe2\x00\x02" * 10000),
    "TIFF, area": tiff(LARGE, LARGE),
    "TIFF, tiles": tiff(640, 480, t322=2**30, t323=2**30),
    "TIFF, samples": tiff(640, 480, t277=60000),
    "TIFF, entries": b"II*\x00" + struct.pack("<IH", 8, 65535),
    "WebP, area": webp(LARGE, LARGE),
    "WebP, animated": webp(640, 480, flags=2),
    "PNM": b"P6 16000 16000 255\n",
    "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16000 +X 16000\n",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_before_they_are_decoded(data: bytes, monkeypatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for decode in (
        lambda: decode_compressed("jpeg", data),
        lambda: decode_file(data, cv2.IMREAD_COLOR, "it"),
    ):
        with pytest.raises(BadImage):
            decode()


@pytest.mark.parametrize("extension", [".bmp", ".webp", ".ppm"])
def test_topics_hold_only_what_image_transport_writes(extension: str) -> None:
    data = encoded(extension)
    with pytest.raises(BadImage, match="expected JPEG, PNG, TIFF"):
        decode_compressed("", data)
    assert decode_file(data, cv2.IMREAD_COLOR, "it").shape == (480, 640, 3)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"])
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (3, 1000)])
def test_a_blank_picture_is_small_and_whole(extension: str, size: tuple[int, int]) -> None:
    blank = np.full((size[1], size[0], 3), 90, np.uint8)
    if extension == ".pgm":
        blank = blank[:, :, 0]
    got = decode_file(encoded(extension, blank), cv2.IMREAD_COLOR, "it")
    assert np.abs(got.astype(int) - 90).max() <= 2 and got.shape[:2] == size[::-1]


def test_a_jpeg_cut_after_its_thumbnail_is_truncated() -> None:
    thumbnail = encoded(".jpg", picture(16, 16))
    exif = b"\xff\xe1" + struct.pack(">H", 8 + len(thumbnail)) + b"Exif\x00\x00" + thumbnail
    whole = encoded(".jpg")
    whole = whole[:2] + exif + whole[2:]
    assert decode_compressed("jpeg", whole + bytes(3)).shape == (480, 640, 3)
    for length in (len(exif) + 2, len(whole) // 2, len(whole) - 1):
        with pytest.raises(BadImage, match="truncated JPEG"):
            decode_compressed("jpeg", whole[:length])


def damaged() -> bytes:
    """A JPEG that is whole as far as its segments go, but for a part that libjpeg makes up."""
    data = bytearray(encoded(".jpg"))
    middle = len(data) // 2
    del data[middle : middle + 200]
    return bytes(data)


def test_a_jpeg_that_libjpeg_completes_is_a_bad_image(capfd) -> None:
    with pytest.raises(BadImage, match="damaged JPEG: (Corrupt|Premature)"):
        decode_compressed("jpeg", damaged())
    assert "JPEG" not in capfd.readouterr().err


PHOTO = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (96, 128, 3), np.uint8), (0, 0), 2)
FORMS = {
    "baseline": (),
    "restarts": (cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
}


def before(data: bytes, marker: int, added: bytes, nth: int = 0) -> bytes:
    """With bytes in front of the nth such marker."""
    at = [match.start() for match in re.finditer(bytes([0xFF, marker]), data)][nth]
    return data[:at] + added + data[at:]


def photo(form: str) -> bytes:
    return cv2.imencode(".jpg", PHOTO, FORMS[form])[1].tobytes()


PADDED = {
    "behind the end": lambda data: data + bytes(300) + b"\xff\xd8 of the next",
    "zeros behind the scan": lambda data: before(data, 0xD9, bytes(300)),
    "zeros in front of the scan's header": lambda data: before(data, 0xDA, bytes(3)),
    "bytes between tables": lambda data: before(data, 0xC4, b"\x17\x2a"),
    "a fill byte": lambda data: before(data, 0xDB, b"\xff\xff"),
    "two begins": lambda data: b"\xff\xd8" + data,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padded", PADDED.values(), ids=PADDED)
def test_padding_of_cameras_changes_no_pixel(form: str, padded, capfd) -> None:
    data = photo(form)
    got = decode_file(padded(data), cv2.IMREAD_COLOR, "it")
    np.testing.assert_array_equal(got, decode_file(data, cv2.IMREAD_COLOR, "it"))
    assert capfd.readouterr().err == ""


def test_zeros_behind_every_restart_interval_change_no_pixel() -> None:
    data = photo("restarts")
    padded = re.sub(rb"\xff[\xd0-\xd7]", lambda match: bytes(10) + match[0], data)
    assert len(padded) > len(data) + 50
    np.testing.assert_array_equal(decode_compressed("jpeg", padded), decode_compressed("jpeg", data))


def test_frames_of_webcams_without_huffman_tables_are_whole() -> None:
    """What UVC cameras send: AVI1 in place of JFIF, the standard's tables left out, zeros up to the end of the buffer."""
    data = photo("restarts")
    tables = re.compile(rb"\xff\xc4(..)", re.DOTALL)
    bare = data
    while found := tables.search(bare):
        bare = bare[: found.start()] + bare[found.start() + 2 + int.from_bytes(found[1], "big") :]
    bare = bare.replace(b"JFIF\0", b"AVI1\0", 1)
    assert len(bare) < len(data) - 400
    padded = before(before(bare, 0xD1, bytes(9)), 0xD9, bytes(9)) + bytes(1000)
    np.testing.assert_array_equal(decode_compressed("jpeg", padded), decode_compressed("jpeg", data))


@pytest.mark.parametrize("form", FORMS)
def test_bytes_left_of_a_scan_are_damage(form: str) -> None:
    """A decoder that has lost its way leaves bytes, too, and pixels are wrong then."""
    data = before(photo(form), 0xD9, b"\x35\x7f" * 20)
    with pytest.raises(BadImage, match="damaged JPEG: Corrupt JPEG data: .* extraneous"):
        decode_compressed("jpeg", data)


@pytest.mark.parametrize("form", FORMS)
def test_padding_hides_no_damage(form: str) -> None:
    data = photo(form)
    middle = len(data) // 2
    damaged = data[:middle] + data[middle + 300 :]
    for padded in PADDED.values():
        with pytest.raises(BadImage, match="JPEG"):
            decode_compressed("jpeg", padded(damaged))


def test_a_picture_in_place_of_an_end_is_damage() -> None:
    data = photo("baseline")
    with pytest.raises(BadImage, match="JPEG"):
        decode_compressed("jpeg", data[:-2] + data)


@pytest.mark.parametrize("form", ["baseline", "restarts"])
@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
def test_zeros_in_place_of_a_part_are_damage(form: str, place: float) -> None:
    """libjpeg is silent where it finds its way again behind them."""
    for optimised in (0, 1):
        options = (*FORMS[form], cv2.IMWRITE_JPEG_OPTIMIZE, optimised)
        data = bytearray(cv2.imencode(".jpg", cv2.resize(PHOTO, (512, 384)), options)[1].tobytes())
        at = int(len(data) * place)
        data[at : at + 96] = bytes(96)
        with pytest.raises(BadImage, match="damaged JPEG"):
            decode_compressed("jpeg", bytes(data))


@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("form", FORMS)
def test_a_blank_picture_has_no_part_lost(form: str, value: int) -> None:
    for optimised in (0, 1):
        options = (*FORMS[form], cv2.IMWRITE_JPEG_OPTIMIZE, optimised)
        data = cv2.imencode(".jpg", np.full((480, 640, 3), value, np.uint8), options)[1].tobytes()
        assert abs(int(decode_compressed("jpeg", data)[9, 9, 0]) - value) < 2


@pytest.mark.skipif(cv2.__version__ < "5", reason="earlier ones do not tell what libtiff complains of")
def test_a_tiff_that_libtiff_completes_is_a_bad_image(capfd) -> None:
    options = (cv2.IMWRITE_TIFF_COMPRESSION, 8)
    data = bytearray(cv2.imencode(".tiff", PHOTO, options)[1].tobytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(BadImage, match="damaged TIFF: ZIPDecode: Decoding error"):
        decode_compressed("tiff", bytes(data))
    assert "TIFF" not in capfd.readouterr().err


def test_a_tiff_that_says_its_size_twice_is_refused() -> None:
    """libtiff takes the first, whatever the limits were checked of."""
    data = encoded(".tiff")
    directory = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, directory)[0]
    second = struct.pack("<HHII", 256, 4, 1, 7)
    doubled = data[:directory] + struct.pack("<H", count + 1) + data[directory + 2 :][: 12 * count] + second
    with pytest.raises(BadImage, match="its size twice"):
        decode_file(doubled + data[directory + 2 + 12 * count :], cv2.IMREAD_COLOR, "it")


def test_what_others_write_while_a_jpeg_is_decoded_is_not_lost(capfd, monkeypatch) -> None:
    decode = cv2.imdecode

    def talkative(*args):
        os.write(2, b"somebody else\n")
        return decode(*args)

    monkeypatch.setattr(cv2, "imdecode", talkative)
    decode_compressed("jpeg", encoded(".jpg"))
    os.write(2, b"and after it\n")
    assert capfd.readouterr().err == "somebody else\nand after it\n"


def test_damage_is_blamed_on_the_thread_whose_picture_it_is() -> None:
    good, bad = encoded(".jpg"), damaged()
    outcomes: dict[int, list[bool]] = {}

    def work(number: int, data: bytes) -> None:
        for _ in range(20):
            try:
                decode_compressed("jpeg", data)
                outcomes.setdefault(number, []).append(True)
            except BadImage:
                outcomes.setdefault(number, []).append(False)

    threads = [threading.Thread(target=work, args=(n, bad if n == 0 else good)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: set(results) for number, results in outcomes.items()} == {
        number: {number != 0} for number in range(4)
    }


def test_a_process_without_standard_error_decodes() -> None:
    code = (
        "import os, sys, numpy, cv2; os.close(2)\n"
        "from dcfm_ros.media.image_decode import decode_compressed\n"
        "data = cv2.imencode('.jpg', numpy.zeros((8, 8, 3), 'uint8'))[1]\n"
        "assert decode_compressed('jpeg', data).shape == (8, 8, 3)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("extension", [".png", ".jpg", ".tiff", ".bmp", ".webp", ".ppm"])
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_flipped_and_missing_bytes_give_a_picture_or_bad_image(extension: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = np.frombuffer(encoded(extension, picture(64, 48)), np.uint8).copy()
    places = rng.integers(0, min(data.size, rng.choice([40, 700, 10**6])), 4)
    data[places] = rng.integers(0, 256, 4)
    data = data[: data.size if seed % 3 else rng.integers(0, data.size)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        got = decode_file(data, cv2.IMREAD_COLOR, "it")
    except BadImage as error:
        assert str(error)
    else:
        assert got.ndim == 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20, "a gigabyte"
