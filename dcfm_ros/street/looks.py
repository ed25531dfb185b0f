"""What houses look like, drawn for a row of them: walls, storeys, windows, roofs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BRICK, RENDER, STONE, PANEL = 0, 1, 2, 3
_RENDER = np.array(
    [
        [0.62, 0.58, 0.5],
        [0.7, 0.68, 0.64],
        [0.55, 0.48, 0.36],
        [0.5, 0.53, 0.55],
        [0.6, 0.47, 0.4],
        [0.68, 0.62, 0.45],
    ]
)
_STONE = np.array([[0.42, 0.38, 0.3], [0.36, 0.35, 0.33], [0.5, 0.45, 0.36]])
_PANEL = np.array([[0.33, 0.33, 0.33], [0.2, 0.22, 0.25], [0.5, 0.49, 0.47], [0.3, 0.2, 0.15]])


@dataclass(frozen=True)
class Look:
    """What the fronts of one row of houses have in common."""

    style: int
    color: NDArray[np.float64]
    storeys: int
    storey: float
    ground: float
    bay: float
    window: tuple[float, float]
    shop: bool
    pitched: bool
    sash: int
    frame: float


def draw_look(rng: np.random.Generator, zone: str, brick: tuple[float, float, float]) -> Look:
    """A look for a zone: "terrace", "shops", "houses" or "modern"."""
    style = int(
        rng.choice(
            [BRICK, RENDER, STONE, PANEL],
            p={"modern": [0.25, 0.2, 0.1, 0.45]}.get(zone, [0.55, 0.3, 0.15, 0.0]),
        )
    )
    if style == BRICK:
        color = np.array(brick) * rng.uniform(0.75, 1.25)
    else:
        table = {RENDER: _RENDER, STONE: _STONE, PANEL: _PANEL}[style]
        color = table[rng.integers(len(table))] * rng.uniform(0.85, 1.1)
    storeys = int(
        {"houses": rng.integers(2, 3), "terrace": rng.integers(2, 4), "shops": rng.integers(2, 5)}.get(
            zone, rng.integers(3, 7)
        )
    )
    modern = zone == "modern"
    bay = float(rng.uniform(2.6, 3.6)) if modern else float(rng.uniform(1.9, 2.8))
    window = (
        (bay * float(rng.uniform(0.55, 0.8)), 1.6)
        if modern
        else (float(rng.uniform(0.9, 1.2)), float(rng.uniform(1.3, 1.7)))
    )
    shop = zone == "shops" or (modern and rng.random() < 0.4)
    return Look(
        style, color, storeys, float(rng.uniform(2.7, 3.2)), float(rng.uniform(3.3, 3.9) if shop else rng.uniform(2.7, 3.1)), bay,
        window, shop, not modern and rng.random() < 0.85, 0 if modern else int(rng.integers(0, 3)),
        float(rng.choice([0.65, 0.7, 0.6, 0.08, 0.25]) if not modern else rng.choice([0.1, 0.3, 0.6])),
    )  # fmt: skip
