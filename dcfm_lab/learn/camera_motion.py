"""Neighbours that no camera recorded: a labelled frame as a moving camera would have seen it a few frames away.

Real neighbours are better, but some datasets have none within reach. The scene is taken for a street: a ground plane
below the horizon, walls at both sides, distance ahead. Moving through it makes the image flow away from (or towards) a
point at the horizon, the faster the closer the surface; turning moves the whole image; parts that move on their own
hide what is behind them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from dcfm_lab.learn.config import MotionConfig
from dcfm_ros.arrays import Floats, Image

INVERSION_STEPS = 8
ERROR_GRID = (12, 16)
"""Rows and columns between which the errors of a flow are interpolated."""


def simulate_neighbour(image: Image, rng: Generator, config: MotionConfig) -> tuple[Image, Floats]:
    """`image` (uint8 H×W×3) seen from a random other position, before or after; its edges are mirrored inwards.

    Returns that neighbour and where each of its pixels lies in the frame, relative to itself: float32 H×W×2, in pixels.
    """
    height, width = image.shape[:2]
    dx, dy = displacement(width, height, rng, config)
    x, y = pixel_grid(width, height)
    moved = cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if rng.random() < config.blur:
        moved = cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.4, 1.2))
    gain = 1.0 + rng.uniform(-config.exposure, config.exposure)
    return np.asarray(cv2.convertScaleAbs(moved, alpha=gain), np.uint8), np.stack([dx, dy], -1)


def measured_flow(motion: Floats, rng: Generator, noise: float) -> Floats:
    """What a flow from the frame to a simulated neighbour would say: float32 H×W×2, as shares of the picture's sides.

    motion: of the neighbour, as `simulate_neighbour` returns it. noise: deviation of smooth errors, in frame widths.
    """
    height, width = motion.shape[:2]
    x, y = pixel_grid(width, height)
    flow = np.zeros_like(motion)
    # What lies at p in the frame lies at q in the neighbour, where q + motion(q) = p.
    for _ in range(INVERSION_STEPS):
        there = x + flow[..., 0], y + flow[..., 1]
        flow = -np.asarray(
            cv2.remap(motion, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
    errors = rng.normal(0, noise * width, (*ERROR_GRID, 2)).astype(np.float32)
    flow = flow + cv2.resize(errors, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(flow / np.array([width, height]), np.float32)


def displacement(width: int, height: int, rng: Generator, config: MotionConfig) -> tuple[Floats, Floats]:
    """Where each pixel of the neighbour lies in the frame, relative to itself: float32 H×W each, in pixels."""
    x, y = pixel_grid(width, height)
    horizon_x = width * (0.5 + rng.normal(0, 0.08))
    horizon_y = height * (0.45 + rng.normal(0, 0.06))
    nearness = _nearness(x - horizon_x, y - horizon_y, rng)

    # Forward (or, seen the other way round, backward) motion; exponential, for most neighbours are close.
    amount = rng.exponential(config.peak / 2) * width * rng.choice((-1.0, 1.0), p=(0.5, 0.5))
    reach = np.float32(width / 2)
    dx = amount * nearness * (x - horizon_x) / reach
    dy = amount * nearness * (y - horizon_y) / reach
    # Turning, pitching and a slight roll.
    roll = rng.normal(0, 0.01)
    dx += rng.laplace(0, config.steer / 2) * width - roll * (y - height / 2)
    dy += rng.normal(0, config.steer / 4) * width + roll * (x - width / 2)
    for _ in range(rng.integers(0, config.patches + 1)):
        _move_patch(dx, dy, x, y, rng, config)
    return dx.astype(np.float32), dy.astype(np.float32)


def _nearness(right: Floats, down: Floats, rng: Generator) -> Floats:
    """1 / distance, float32 H×W, about 0 at the horizon and 1 near the camera, with bumps where objects would stand."""
    height, width = right.shape
    ground = np.maximum(down, 0) * (rng.uniform(1.0, 2.2) / height)
    walls = np.abs(right) * (rng.uniform(0.4, 1.6) / width)
    bumps = rng.normal(0, 0.35, (rng.integers(3, 7), rng.integers(4, 10))).astype(np.float32)
    relief = 1.0 + cv2.resize(bumps, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.maximum(ground, walls) * np.maximum(relief, 0.1)


def _move_patch(dx: Floats, dy: Floats, x: Floats, y: Floats, rng: Generator, config: MotionConfig) -> None:
    height, width = x.shape
    half_w, half_h = rng.uniform(0.02, 0.12) * width, rng.uniform(0.04, 0.2) * height
    center_x, center_y = rng.uniform(0, width), rng.uniform(0.3, 0.8) * height
    inside = ((x - center_x) / half_w) ** 2 + ((y - center_y) / half_h) ** 2 < 1
    dx[inside] += rng.laplace(0, config.peak / 3) * width
    dy[inside] += rng.laplace(0, config.peak / 12) * width


def pixel_grid(width: int, height: int) -> tuple[Floats, Floats]:
    """x and y of every pixel, float32 H×W each."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y
