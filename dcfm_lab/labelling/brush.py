"""The run-length code of Label Studio's brush: a mask as RGBA pixels in a stream of bits, most significant first.

32 bits: how many bytes. 5: bits in a value - 1. 4 times 4: bits in the lengths that follow - 1. Then runs: 1 bit says whether
a value is repeated, 2 bits which of the four lengths follows, the length - 1, and the value, or as many values as that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.media.image_header import MAX_PIXELS

_LENGTHS = (4, 8, 12, 16)
_CHANNELS = 4
_PAINTED = 128
"""From here on a pixel is painted: at the edges of a stroke it may be so in part."""


def encode(painted: NDArray[np.bool_]) -> list[int]:
    """bool H×W -> bytes."""
    flat = painted.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = np.diff(edges, append=flat.size) * _CHANNELS
    bits = [f"{flat.size * _CHANNELS:032b}", f"{7:05b}", *(f"{length - 1:04b}" for length in _LENGTHS)]
    for length, value in zip(lengths.tolist(), flat[edges].tolist(), strict=True):
        while length:
            part = min(length, 1 << _LENGTHS[-1])
            which = next(i for i, most in enumerate(_LENGTHS) if part <= 1 << most)
            bits.append(f"1{which:02b}{part - 1:0{_LENGTHS[which]}b}{255 if value else 0:08b}")
            length -= part
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def check_pixels(width: int, height: int) -> None:
    """Raises ValueError for a size that no picture has."""
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"a picture cannot be {width}×{height} pixels")


def decode(code: Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """Bytes -> bool H×W: where the picture is painted. Raises ValueError for a code that is damaged or of another size."""
    text = "".join(f"{byte:08b}" for byte in bytes(code))
    count = width * height * _CHANNELS
    check_pixels(width, height)
    if len(text) < 53 or int(text[:32], 2) != count:
        raise ValueError(f"the brush's code is not that of {width}×{height} pixels")
    word = int(text[32:37], 2) + 1
    lengths = [int(text[i : i + 4], 2) + 1 for i in range(37, 53, 4)]
    out = np.zeros(count, np.uint8)
    at, done = 53, 0
    while done < count:
        if at + 3 > len(text):
            raise ValueError("the brush's code is cut off")
        size = lengths[int(text[at + 1 : at + 3], 2)]
        begin = at + 3 + size
        run = int(text[at + 3 : begin] or "0", 2) + 1
        values = 1 if text[at] == "1" else run
        at = begin + values * word
        if at > len(text) or done + run > count:
            raise ValueError("the brush's code is cut off")
        out[done : done + run] = [
            min(int(text[i : i + word], 2), 255) for i in range(begin, at, word)
        ]  # one value fills the run
        done += run
    return out[_CHANNELS - 1 :: _CHANNELS].reshape(height, width) >= _PAINTED
