"""Baked textures that every surface samples: noise, leaf cards and bare branches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

NOISE = 512
CARD = 128
CARD_FAR = 32
CARDS = 4


@dataclass(frozen=True)
class Textures:
    """`noise` float32 512×512, tileable, about -1..1; `cards`, `cards_far` float32 8×n×n×2: coverage and shade of
    4 leaf cards and 4 cards of bare branches, near and far."""

    noise: NDArray[np.float32]
    cards: NDArray[np.float32]
    cards_far: NDArray[np.float32]


@lru_cache(maxsize=1)
def baked() -> Textures:
    """The textures, the same for every drive."""
    rng = np.random.default_rng(20)
    near = np.stack([_leaf_card(rng) for _ in range(CARDS)] + [_branch_card(rng) for _ in range(CARDS)])
    return Textures(_noise(rng), near, np.stack([_far(card) for card in near]))


def _noise(rng: np.random.Generator) -> NDArray[np.float32]:
    """Fractal value noise: octaves of random grids, enlarged with wrap-around."""
    total = np.zeros((NOISE, NOISE), np.float32)
    for cells, weight in ((8, 1.0), (16, 0.7), (32, 0.5), (64, 0.4), (128, 0.3), (256, 0.25), (512, 0.2)):
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        padded = np.pad(grid, 4, mode="wrap")
        scale = NOISE // cells
        big = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += weight * big[4 * scale : 4 * scale + NOISE, 4 * scale : 4 * scale + NOISE]
    total -= total.mean()
    return np.clip(total / (2.2 * total.std()), -1.5, 1.5).astype(np.float32)


def _leaf_card(rng: np.random.Generator) -> NDArray[np.float32]:
    cover = np.zeros((CARD, CARD), np.float32)
    shade = np.full((CARD, CARD), 0.5, np.float32)
    for _ in range(190):
        radius = CARD * 0.46 * np.sqrt(rng.random()) * rng.uniform(0.55, 1.0)
        angle = rng.uniform(0, 2 * np.pi)
        center = (int(CARD / 2 + radius * np.cos(angle)), int(CARD / 2 + radius * np.sin(angle)))
        axes = (int(rng.integers(4, 9)), int(rng.integers(2, 5)))
        turn = float(rng.uniform(0, 360))
        cv2.ellipse(cover, center, axes, turn, 0, 360, 1.0, -1, cv2.LINE_AA)
        tone = 0.55 + 0.35 * (0.5 - center[1] / CARD) + float(rng.uniform(-0.28, 0.28))
        cv2.ellipse(shade, center, axes, turn, 0, 360, float(np.clip(tone, 0.1, 1.0)), -1, cv2.LINE_AA)
    return np.stack([cover, shade], -1)


def _branch_card(rng: np.random.Generator) -> NDArray[np.float32]:
    cover = np.zeros((CARD, CARD), np.float32)

    def grow(x: float, y: float, angle: float, length: float, width: float) -> None:
        x2, y2 = x + length * np.cos(angle), y + length * np.sin(angle)
        cv2.line(
            cover,
            (int(x * 16), int(y * 16)),
            (int(x2 * 16), int(y2 * 16)),
            1.0,
            max(1, round(width)),
            cv2.LINE_AA,
            4,
        )
        if length < 5:
            return
        for _ in range(3):
            grow(x2, y2, angle + rng.normal(0, 0.55), length * rng.uniform(0.62, 0.82), width * 0.65)

    for angle in rng.uniform(0, 2 * np.pi, 3):
        grow(CARD / 2, CARD / 2, float(angle), CARD * 0.15, 3.0)
    inside = np.hypot(*(np.indices((CARD, CARD)) - CARD / 2)) < CARD * 0.48
    return np.stack([cover * inside, np.full_like(cover, 0.5)], -1)


def _far(card: NDArray[np.float32]) -> NDArray[np.float32]:
    """The card for distances where single leaves are smaller than a pixel: smoothed, its coverage kept."""
    small = cv2.resize(
        cv2.GaussianBlur(card, (0, 0), 2.0), (CARD_FAR, CARD_FAR), interpolation=cv2.INTER_AREA
    )
    return small.astype(np.float32)
