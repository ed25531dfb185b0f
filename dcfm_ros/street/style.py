"""What differs from drive to drive: season, light, traffic, the street and the camera, all drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Style:
    """Angles in radians, lengths in metres, speeds in m/s; levels and shares are relative."""

    sun_azimuth: float
    sun_elevation: float
    sun_strength: float
    sun_flicker: float
    overcast: float
    sky_level: float
    cloud_cover: float
    cloud_tone: float
    haze: float
    exposure: float
    phase: float
    season: float  # 0 bare winter trees .. 1 full leaf
    foliage: tuple[float, float, float]
    asphalt: tuple[float, float, float]
    pavement: tuple[float, float, float]
    brick: tuple[float, float, float]
    lane: float
    pavement_width: float
    bends: float
    parked: float
    traffic: float
    people: float
    bikes: float
    greenery: float
    shops: float
    speed: float
    shake: float
    camera_height: float
    camera_pitch: float
    fov: float
    noise: float
    softness: float
    vignette: float
    tint: tuple[float, float, float]
    contrast: float


def draw_style(seed: int) -> Style:
    """The style of a seed. Seed 0 is a fair spring day, made for the demonstration."""
    rng = np.random.default_rng([seed, 11])
    fair = seed == 0
    overcast = 0.12 if fair else float(rng.choice([0.05, 0.2, 0.5, 0.85, 1.0]))
    dusk = 0.0 if fair else float(rng.choice([0.0, 0.0, 0.0, 0.5, 1.0]))
    sun = (1.0 - overcast) ** 1.3 * (1.0 - 0.75 * dusk)
    grey = rng.uniform(0.07, 0.17)
    stone = rng.uniform(0.2, 0.36)
    hue = rng.uniform(-1, 1)
    brick_red = np.array([0.30, 0.13, 0.08]) * rng.uniform(0.7, 1.2)
    brick_yellow = np.array([0.38, 0.29, 0.17]) * rng.uniform(0.8, 1.2)
    yellow = rng.random()
    return Style(
        sun_azimuth=2.2 if fair else float(rng.uniform(0, 2 * np.pi)),
        sun_elevation=0.75 if fair else float(rng.uniform(0.28, 1.0)),
        sun_strength=2.6 * sun,
        sun_flicker=0.3 if fair else float(rng.uniform(0.0, 0.8)),
        overcast=overcast,
        sky_level=(1.0 if fair else float(rng.uniform(0.8, 1.3))) * (1.0 - 0.45 * dusk),
        cloud_cover=0.5 if fair else float(np.clip(overcast + rng.uniform(-0.1, 0.35), 0.0, 1.0)),
        cloud_tone=1.0 if fair else float(rng.uniform(0.75, 1.05) - 0.15 * dusk),
        haze=0.0016 if fair else float(rng.choice([0.001, 0.002, 0.0035, 0.006])),
        exposure=(0.72 if fair else float(rng.uniform(0.6, 1.05))) * (1.0 - 0.3 * dusk) / (0.75 + 0.35 * sun),
        phase=float(rng.uniform(0, 2 * np.pi)),
        season=0.9 if fair else float(rng.choice([0.0, 0.15, 0.5, 0.9, 1.0])),
        foliage=(
            float(0.10 + 0.05 * hue + rng.uniform(0, 0.05)),
            float(rng.uniform(0.13, 0.2)),
            float(rng.uniform(0.03, 0.06)),
        ),
        asphalt=(grey * 1.02, grey, grey * float(rng.uniform(0.94, 1.06))),
        pavement=(stone * 1.03, stone, stone * float(rng.uniform(0.88, 1.0))),
        brick=tuple(float(c) for c in brick_red * (1 - yellow) + brick_yellow * yellow),  # type: ignore[arg-type]
        lane=float(rng.uniform(3.0, 3.8)),
        pavement_width=2.6 if fair else float(rng.uniform(1.6, 4.0)),
        bends=1.0 if fair else float(rng.uniform(0.2, 1.4)),
        parked=0.55 if fair else float(rng.choice([0.0, 0.25, 0.5, 0.8])),
        traffic=0.6 if fair else float(rng.uniform(0.0, 1.0)),
        people=1.0 if fair else float(rng.uniform(0.2, 2.0)),
        bikes=1.0 if fair else float(rng.uniform(0.2, 2.2)),
        greenery=0.5 if fair else float(rng.uniform(0.1, 1.0)),
        shops=0.45 if fair else float(rng.uniform(0.0, 0.9)),
        speed=8.0 if fair else float(rng.uniform(4.0, 11.0)),
        shake=float(rng.uniform(0.4, 1.3)),
        camera_height=1.4 if fair else float(rng.uniform(1.2, 1.75)),
        camera_pitch=0.0 if fair else float(rng.uniform(-0.035, 0.035)),
        fov=1.03 if fair else float(rng.uniform(0.85, 1.2)),
        noise=0.010 if fair else float(_past_one(rng).uniform(0.004, 0.022)),
        softness=0.45 if fair else float(rng.uniform(0.3, 0.8)),
        vignette=0.18 if fair else float(rng.uniform(0.0, 0.35)),
        tint=(
            float(rng.uniform(0.95, 1.06)),
            1.0,
            float(rng.uniform(0.94, 1.07)),
        ),
        contrast=float(rng.uniform(0.9, 1.12)),
    )


def _past_one(rng: np.random.Generator) -> np.random.Generator:
    """`rng` without its next number, which something used that is gone: the drives of all seeds stay what they were."""
    rng.random()
    return rng
