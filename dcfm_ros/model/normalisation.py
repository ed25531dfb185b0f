"""How images are normalised before they enter a network."""

from __future__ import annotations

from typing import NamedTuple


class Normalisation(NamedTuple):
    """Mean and standard deviation of RGB / 255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
