"""Image files of known pixels in every format that is read, and PNGs whose parts say what a test wants."""

import struct
import zlib

import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
LOSSLESS = {"png": ".png", "tiff": ".tiff", "bmp": ".bmp", "pnm": ".ppm"}
_SUFFIXES = (".jpg", ".png", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".pbm")


def pixels(*channels, dtype=np.uint8):
    """A strategy: H×W×channels, or H×W where there are none."""
    return SHAPES.flatmap(lambda shape: arrays.arrays(dtype, (*shape, *channels)))


def encoded(suffix, picture, *options):
    """The bytes of an image file of BGR or grey pixels."""
    done, data = cv2.imencode(suffix, picture, options)
    assert done
    return data.tobytes()


def real_files():
    """A file of each format, in colour and in grey, of 8 bits and of 16."""
    y, x = np.mgrid[0:24, 0:32]
    colour = np.dstack((8 * x, 10 * y, 4 * (x + y))).astype(np.uint8)
    files = [
        encoded(suffix, colour if suffix not in (".pgm", ".pbm") else colour[..., 0]) for suffix in _SUFFIXES
    ]
    files += [encoded(suffix, colour[..., 0]) for suffix in (".jpg", ".png", ".tiff")]
    files += [encoded(suffix, colour.astype(np.uint16) * 257) for suffix in (".png", ".tiff", ".ppm")]
    files.append(encoded(".tiff", colour.astype(np.float32)))
    files.append(encoded(".jpg", colour, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2))
    files.append(encoded(".webp", colour, cv2.IMWRITE_WEBP_QUALITY, 101))
    files.append(encoded(".tiff", colour, cv2.IMWRITE_TIFF_COMPRESSION, 1))
    files.append(encoded(".png", np.dstack((colour, colour[..., 0]))))
    files.append(png(indexed(colour[..., 0] % 4, 2), 32, 24, 2, 3, palette=bytes(range(12))))
    return tuple(files)


def png(rows, width, height, depth, kind, *, palette=b"", interlace=0, more=()):
    """A PNG of these rows of packed samples, uint8 H×bytes; every checksum is right."""
    filtered = b"".join(b"\0" + bytes(row) for row in rows)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)), *more]
    parts += [(b"PLTE", palette)] if palette else []
    parts += [(b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def indexed(values, depth):
    """Rows of values of 1, 2, 4 or 8 bits each, packed as PNG does."""
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    return np.packbits(bits.reshape(len(values), -1), axis=1)


def lying_pngs():
    """A strategy: PNGs whose head, palette and further chunks are anything."""
    sizes = st.integers(1, 16)
    sizes = st.one_of(sizes, sizes, st.sampled_from((0, 16384, 16385, 2**31 - 1, 2**32 - 1)))
    names = st.sampled_from(
        (b"tRNS", b"gAMA", b"iCCP", b"sBIT", b"bKGD", b"pHYs", b"acTL", b"eXIf", b"tEXt", b"IDAT")
    )
    return st.builds(
        png,
        arrays.arrays(np.uint8, st.tuples(st.integers(0, 16), st.integers(0, 16))),
        sizes,
        sizes,
        st.one_of(st.sampled_from((0, 1, 2, 3, 4, 8, 16)), st.integers(0, 255)),
        st.one_of(st.sampled_from((0, 2, 3, 4, 6)), st.integers(0, 255)),
        palette=st.binary(max_size=30),
        interlace=st.integers(0, 2),
        more=st.lists(st.tuples(names, st.binary(max_size=20)), max_size=2),
    )
