"""The sky: its gradient, clouds, the glow around the sun, and the line of far trees and roofs."""

from __future__ import annotations

import numpy as np

from dcfm_ros.street.jit import kernel
from dcfm_ros.street.patterns import noise_at


@kernel
def skyline(azimuth, noise):
    """Elevation (radians) of the far trees and roofs at an azimuth."""
    coarse = noise_at(noise, azimuth * 40.7437, 11.0)
    fine = noise_at(noise, azimuth * 325.9493, 77.0)
    return 0.025 + 0.018 * coarse + 0.006 * fine


@kernel
def sky(dx, dy, dz, light, noise):
    """Radiance of the sky in a unit direction."""
    up = max(dz, 0.0)
    mix = np.sqrt(min(up * 1.3, 1.0))
    r = light.horizon[0] + (light.zenith[0] - light.horizon[0]) * mix
    g = light.horizon[1] + (light.zenith[1] - light.horizon[1]) * mix
    b = light.horizon[2] + (light.zenith[2] - light.horizon[2]) * mix
    scale = 34.0 / (up + 0.16)
    x = dx * scale + light.cloud_offset[0]
    y = dy * scale + light.cloud_offset[1]
    puff = (
        noise_at(noise, x, y) + 0.45 * noise_at(noise, x * 3.1 + 9, y * 3.1) - 1.0 + 2.0 * light.cloud_cover
    )
    cloud = min(max(puff * 1.4, 0.0), 1.0)
    cloud = cloud * cloud * (3 - 2 * cloud) * min(up * 9.0, 1.0)
    lit = noise_at(noise, x + 9 * light.toward_sun[0], y + 9 * light.toward_sun[1]) - noise_at(noise, x, y)
    tone = light.cloud_tone * (1.0 - 0.22 * min(max(puff - 0.35, 0.0), 1.0) - 0.35 * lit)
    base = 0.5 * (light.horizon[0] + light.horizon[1]) + 0.12 * light.sun[0]
    r += (base * 1.08 * tone - r) * cloud
    g += (base * 1.08 * tone - g) * cloud
    b += (base * 1.1 * tone - b) * cloud
    cosine = dx * light.toward_sun[0] + dy * light.toward_sun[1] + dz * light.toward_sun[2]
    if cosine > 0.6:
        glow = (cosine - 0.6) / 0.4
        glow = 0.25 * glow * glow * glow * glow + 2.0 * glow**40
        r += light.sun[0] * glow
        g += light.sun[1] * glow
        b += light.sun[2] * glow
    return r, g, b


@kernel
def far_trees(dx, dz, light, noise):
    """Radiance of the far trees, in the haze, in a unit direction."""
    tone = 0.55 + 0.1 * noise_at(noise, dx * 900, dz * 900)
    green = 0.3 * tone * (light.horizon[1] + 0.3 * light.sun[1])
    return (
        0.55 * light.horizon[0] + 0.3 * green,
        0.55 * light.horizon[1] + 0.36 * green,
        0.55 * light.horizon[2] + 0.2 * green,
    )
