"""A picture for people: the camera image tinted with class colours, and a legend of the classes in view."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from dcfm_ros.model.config import ModelCard

LEGEND_MIN_SHARE = 0.0005  # of the picture: a class of fewer pixels is too small to look for
LEGEND_MAX_HEIGHT = 0.4  # of the picture, however many classes there are
OUTLINE_ALPHA = 0.9
PANEL_ALPHA = 0.62
PANEL_COLOR = (16, 18, 22)
TEXT_COLOR = (240, 240, 240)
SUPERSAMPLING = 4  # text is drawn this much larger and averaged down: OpenCV's small letters are ragged
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT = 22  # pixels of a capital letter at font scale 1

Color = tuple[int, int, int]


def draw_overlay(
    rgb: np.ndarray,
    mask: np.ndarray,
    card: ModelCard,
    alpha: float = 0.5,
    legend: bool = True,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Tint `rgb` with the colours of the classes in `mask`.

    rgb: uint8 H×W×3.
    mask: uint8 h×w class ids; 255 and ids without a colour are left as they are. A mask of another size than
        the picture is stretched to it, nearest neighbour.
    card: names and colours.
    alpha: 0 (the picture alone) to 1 (flat colours). Class borders are drawn stronger.
    legend: a strip along the lower edge with chip and name of every class in view, sized to the picture.
    out: uint8 H×W×3 to draw into, other memory than `rgb`; None: a new array.
    Returns uint8 H×W×3: `out`, or the new array.
    """
    height, width = rgb.shape[:2]
    if mask.shape != (height, width):
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    if out is None:
        out = np.empty((height, width, 3), np.uint8)
    colors = tuple(card.colors)
    side = 2 if height < 700 else 3  # of the square in which another class makes a pixel one of a border
    canvas = out if out.flags.c_contiguous else np.empty((height, width, 3), np.uint8)
    counts = _tint(rgb, mask, colors, alpha, side, canvas)
    if legend:
        least = max(1, LEGEND_MIN_SHARE * counts.sum())
        seen = tuple((card.classes[i], colors[i]) for i in range(len(colors)) if counts[i] >= least)
        _cover(canvas, *_legend_strip(seen, width, height))
    if canvas is not out:
        out[...] = canvas
    return out


def _tint(
    rgb: np.ndarray, mask: np.ndarray, colors: tuple[Color, ...], alpha: float, side: int, out: np.ndarray
) -> np.ndarray:
    """Tint into `out`; how many pixels each of the 256 ids has."""
    from dcfm_ros.stream.overlay_kernel import tint  # with Numba, which the help of a command does without

    height, width = mask.shape
    counts = np.zeros(256, np.int64)
    picture = _read_only(np.ascontiguousarray(rgb).reshape(height, 3 * width))
    canvas = out.reshape(height, 3 * width)
    tint(picture, _read_only(np.ascontiguousarray(mask)), side, *_mixture(colors, alpha), counts, canvas)
    return counts


def _read_only(pixels: np.ndarray) -> np.ndarray:
    """A view that cannot be written to, as messages' pixels cannot: Numba compiles anew for what can."""
    view = pixels.view()
    view.flags.writeable = False
    return view


@functools.lru_cache(maxsize=8)
def _mixture(colors: tuple[Color, ...], alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """For the kernel: by label, off a border and on it, the picture's weight, and the colour to be added to it."""
    from dcfm_ros.stream.overlay_kernel import PIECE

    weights = np.ones((2, 256), np.float32)
    added = np.zeros((2, 256, 3), np.float32)
    for i, strength in enumerate((alpha, OUTLINE_ALPHA if alpha > 0 else 0)):
        weights[i, : len(colors)] = 1 - strength
        added[i, : len(colors)] = strength * np.array(colors, np.float32)
    return weights, np.tile(added + np.float32(0.5), PIECE)


def _cover(out: np.ndarray, kept: np.ndarray, added: np.ndarray) -> None:
    """Lay a legend over the lower edge, in place. kept, added: as `_legend_strip` returns them."""
    from dcfm_ros.stream.overlay_kernel import cover

    height = min(kept.shape[0], int(out.shape[0] * LEGEND_MAX_HEIGHT))
    if height == 0:
        return
    cover(out[-height:].reshape(height, -1), kept[:height], added[:height])


@functools.lru_cache(maxsize=64)
def _legend_strip(
    entries: tuple[tuple[str, Color], ...], width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """The legend, float32 h×3W: how much of the picture is kept, and what is added then, and 0.5.

    h is 0 when there is nothing to name. The same classes stay in view for many frames, so the strip is kept.
    """
    cap = int(np.clip(round(height * 0.024), 8, 40))  # pixels of a capital letter
    line, gap = int(cap * 2.1), cap
    placed, rows = _flow([_text_width(name, cap) for name, _ in entries], width, cap, gap)
    strip_height = rows * line + gap if rows else 0
    scale = SUPERSAMPLING
    canvas = np.full((strip_height * scale, width * scale, 3), PANEL_COLOR, np.uint8)
    solid = np.full(canvas.shape[:2], round(255 * PANEL_ALPHA), np.uint8)
    for (name, color), (x, row) in zip(entries, placed, strict=True):
        top = (gap // 2 + row * line + (line - cap) // 2) * scale
        left, side = x * scale, cap * scale
        chip = (left, top - side // 8), (left + side * 3 // 2, top + side + side // 8)
        text = (left + side * 2, top + side)
        thickness = max(1, round(side * 0.12))
        for image, chip_value, text_value in ((canvas, color, TEXT_COLOR), (solid, 255, 255)):
            cv2.rectangle(image, *chip, chip_value, cv2.FILLED)
            cv2.putText(image, name, text, FONT, side / FONT_HEIGHT, text_value, thickness, cv2.LINE_AA)
        cv2.rectangle(canvas, *chip, TEXT_COLOR, max(1, scale // 2))
    if not strip_height:
        return np.zeros((0, 3 * width), np.float32), np.zeros((0, 3 * width), np.float32)
    size = (width, strip_height)
    opacity = cv2.resize(solid, size, interpolation=cv2.INTER_AREA).astype(np.float32)[:, :, None] / 255
    strip = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA) * opacity + np.float32(0.5)
    kept = np.broadcast_to(1 - opacity, strip.shape)
    return kept.reshape(strip_height, -1), strip.reshape(strip_height, -1)


def _text_width(name: str, cap: int) -> int:
    (text, _), _ = cv2.getTextSize(name, FONT, cap * SUPERSAMPLING / FONT_HEIGHT, 1)
    return -(-text // SUPERSAMPLING)


def _flow(text_widths: list[int], width: int, cap: int, gap: int) -> tuple[list[tuple[int, int]], int]:
    """Left edge and row of each entry (chip, space, text), and the number of rows: words in a paragraph."""
    placed, x, row = [], gap, 0
    for text in text_widths:
        entry = 2 * cap + text
        if x > gap and x + entry + gap > width:
            x, row = gap, row + 1
        placed.append((x, row))
        x += entry + 2 * gap
    return placed, row + 1 if placed else 0
