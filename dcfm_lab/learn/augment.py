"""Random views and colours, the same for a labelled frame, its label and its neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from dcfm_lab.learn.config import AugmentConfig
from dcfm_ros.arrays import UNLABELLED, Floats, Image
from dcfm_ros.config import Size

GREY = np.array([0.299, 0.587, 0.114])
DISPLACEMENT_STRIDE = 4
"""As in the finest common features."""
FILL = (124, 116, 104)
"""Outside of the image: ImageNet's mean, which is 0 after normalisation."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A frame, its neighbour and what is known about the frame.

    frame, neighbour: uint8 H×W×3 RGB. label: uint8 H×W of class ids, 255 = none. soft: uint8 h×w×classes, in whatever
    resolution, a pixel's sum about 255, or 0 where nothing is known; None where there are no soft labels. displacement:
    float32 h×w×2, in whatever resolution, where each pixel lies in the neighbour, relative to itself: x and y as shares of
    the picture's sides; None where nobody asks.
    """

    frame: Image
    neighbour: Image
    label: Image
    soft: Image | None = None
    displacement: Floats | None = None


def augment(pair: Pair, rng: Generator, config: AugmentConfig) -> Pair:
    """One random view in one random light of all of it, `config.crop` in size."""
    height, width = pair.label.shape
    matrix = random_view(width, height, rng, config)
    neighbour = pair.neighbour
    if neighbour.shape != pair.frame.shape:
        neighbour = as_image(cv2.resize(neighbour, (width, height), interpolation=cv2.INTER_AREA))
    frame, neighbour = (warp(image, matrix, config.crop, FILL) for image in (pair.frame, neighbour))
    label = warp_label(pair.label, matrix, config.crop)
    soft = None if pair.soft is None else warp_soft(pair.soft, (width, height), matrix, config.crop)
    displacement = pair.displacement
    if displacement is not None:
        displacement = warp_displacement(displacement, (width, height), matrix, config.crop)
    color, table = random_color(rng, config), random_gamma(rng, config)
    sigma = rng.uniform(0.3, 1.0) if rng.random() < config.blur else 0.0
    noise = rng.uniform(2, 10) if rng.random() < config.noise else 0.0
    frame, neighbour = (
        degrade(recolor(image, color, table), sigma, noise, rng) for image in (frame, neighbour)
    )
    return Pair(frame, neighbour, label, soft, displacement)


def random_view(width: int, height: int, rng: Generator, config: AugmentConfig) -> NDArray[np.float64]:
    """A random scale, flip, rotation and crop of a width × height image: float64 2×3, from its pixels to the crop's."""
    crop_w, crop_h = config.crop
    low, high = np.log(config.scale[0]), np.log(config.scale[1])
    scale = float(np.exp(rng.uniform(low, high)))
    mirror = -1.0 if rng.random() < config.flip else 1.0
    angle = np.deg2rad(rng.uniform(-config.angle, config.angle))
    # Which point of the image comes to lie in the crop's middle: any for which the crop stays inside, or, where the
    # image is the smaller one, any for which the image stays inside.
    center_x = width / 2 + rng.uniform(-0.5, 0.5) * abs(width - crop_w / scale)
    center_y = height / 2 + rng.uniform(-0.5, 0.5) * abs(height - crop_h / scale)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.diag([mirror, 1.0])
    # Pixel centres are at whole numbers: the image's middle is at (width - 1) / 2.
    shift = np.array([(crop_w - 1) / 2, (crop_h - 1) / 2]) - linear @ np.array(
        [center_x - 0.5, center_y - 0.5]
    )
    return np.column_stack([linear, shift])


def warp(image: Image, matrix: NDArray[np.float64], size: Size, fill: tuple[int, ...]) -> Image:
    """`image` through `matrix` into (width, height), bilinear; shrinking is smoothed first, lest thin things vanish."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.75:
        image = as_image(cv2.GaussianBlur(image, (0, 0), 0.5 / scale - 0.35))
    return as_image(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=fill))


def warp_label(label: Image, matrix: NDArray[np.float64], size: Size) -> Image:
    """Like `warp`, to the nearest pixel; 255 outside."""
    return as_image(cv2.warpAffine(label, matrix, size, flags=cv2.INTER_NEAREST, borderValue=UNLABELLED))


def warp_soft(soft: Image, image_size: Size, matrix: NDArray[np.float64], size: Size) -> Image:
    """Soft labels (uint8 h×w×classes) of an image of `image_size` like `warp`; 0 outside."""
    # OpenCV forgets a single channel.
    to_image = rescaled(soft.shape[1::-1], image_size)
    return warp(soft, matrix @ to_image, size, (0,)).reshape(size[1], size[0], soft.shape[2])


def warp_displacement(
    displacement: Floats, image_size: Size, matrix: NDArray[np.float64], size: Size
) -> Floats:
    """A displacement in shares of an image of `image_size` as one in shares of its view, at a `DISPLACEMENT_STRIDE`th."""
    turned = (displacement * np.array(image_size)) @ matrix[:, :2].T / np.array(size)
    grid = (-(-size[0] // DISPLACEMENT_STRIDE), -(-size[1] // DISPLACEMENT_STRIDE))
    view = np.vstack([matrix, [0, 0, 1]]) @ rescaled(displacement.shape[1::-1], image_size)
    to_grid = (rescaled(size, grid) @ view)[:2]
    moved = cv2.warpAffine(
        turned.astype(np.float32), to_grid, grid, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)


def rescaled(before: tuple[int, ...], after: tuple[int, ...]) -> NDArray[np.float64]:
    """float64 3×3, from a picture's pixels in one resolution (width, height) to those in another.

    Pixel centres are at whole numbers in both.
    """
    across, down = after[0] / before[0], after[1] / before[1]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def random_color(rng: Generator, config: AugmentConfig) -> NDArray[np.float64]:
    """Brightness, contrast, saturation and hue as one 3×4 matrix on (R, G, B, 1) in 0-255."""
    brightness = 1 + rng.uniform(-config.brightness, config.brightness)
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    saturation = 1 + rng.uniform(-config.saturation, config.saturation)
    angle = np.deg2rad(rng.uniform(-config.hue, config.hue))
    # Hue turns colours around the grey axis (Rodrigues' formula).
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    hue = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    saturate = saturation * np.eye(3) + (1 - saturation) * np.tile(GREY, (3, 1))
    linear = brightness * contrast * (saturate @ hue)
    offset = np.full(3, 127.5 * brightness * (1 - contrast))
    return np.column_stack([linear, offset])


def random_gamma(rng: Generator, config: AugmentConfig) -> Image:
    """A table of 256 bytes, value -> value."""
    gamma = 2.0 ** rng.uniform(-config.gamma, config.gamma)
    return np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)


def recolor(image: Image, color: NDArray[np.float64], table: Image) -> Image:
    """`image` through a 3×4 colour matrix and a table, rounded and cut to 0-255."""
    return as_image(cv2.LUT(cv2.transform(image, color), table))


def degrade(image: Image, sigma: float, noise: float, rng: Generator) -> Image:
    """Blur of `sigma` pixels and Gaussian noise of `noise` grey levels, 0 = none."""
    if sigma:
        image = as_image(cv2.GaussianBlur(image, (0, 0), sigma))
    if noise:
        grain = rng.standard_normal(image.shape, dtype=np.float32) * noise
        image = as_image(cv2.add(image, grain, dtype=cv2.CV_8U))
    return image


def as_image(array: NDArray[Any]) -> Image:
    """What OpenCV made of bytes, which is bytes; its type stubs do not know."""
    return np.asarray(array, np.uint8)
