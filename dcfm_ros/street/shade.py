"""Fragments to light: sky, sun, shadows and haze for every sample, averaged to pixels, with the label of each pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import labels, materials
from dcfm_ros.street.jit import kernel
from dcfm_ros.street.light import (
    CONTACT_CELLS_PER_METRE,
    SHADOW_CELLS_PER_METRE,
    ContactMap,
    Light,
    ShadowMap,
)
from dcfm_ros.street.mesh import Mesh
from dcfm_ros.street.patterns import noise_at
from dcfm_ros.street.raster import Fragments, View
from dcfm_ros.street.sky import far_trees, sky, skyline
from dcfm_ros.street.surface import surface
from dcfm_ros.street.textures import Textures

SAMPLES = 2
"""Samples along each side of a pixel."""

_SKY, _TREE = labels.SKY, labels.TREE
_LEAVES, _BRANCHES, _LAMP = materials.LEAVES, materials.BRANCHES, materials.LAMP
_PAVEMENT, _ROAD, _GRASS = materials.PAVEMENT, materials.ROAD, materials.GRASS
_FACADE, _SIGN, _TEXT, _WHEEL = materials.FACADE, materials.SIGN, materials.TEXT, materials.WHEEL
_CLIP = 1.6


@kernel
def _sunlit(x, y, z, depth, turn, eye, bias):
    """Share of the sun's disc (soft edge of one cell) that a point sees; 1 outside the map."""
    size = depth.shape[0]
    dx, dy, dz = x - eye[0], y - eye[1], z - eye[2]
    px = (turn[0, 0] * dx + turn[0, 1] * dy + turn[0, 2] * dz) * SHADOW_CELLS_PER_METRE + size * 0.5 - 0.5
    py = (turn[1, 0] * dx + turn[1, 1] * dy + turn[1, 2] * dz) * SHADOW_CELLS_PER_METRE + size * 0.5 - 0.5
    if px < 1 or py < 1 or px >= size - 2 or py >= size - 2:
        return 1.0
    mine = -(turn[2, 0] * dx + turn[2, 1] * dy + turn[2, 2] * dz) + bias
    x0, y0 = int(px), int(py)
    fx, fy = px - x0, py - y0
    a = 1.0 if depth[y0, x0] <= mine else 0.0
    b = 1.0 if depth[y0, x0 + 1] <= mine else 0.0
    c = 1.0 if depth[y0 + 1, x0] <= mine else 0.0
    d = 1.0 if depth[y0 + 1, x0 + 1] <= mine else 0.0
    return (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy


@kernel
def _kept(x, y, keep, origin):
    px = (x - origin[0]) * CONTACT_CELLS_PER_METRE - 0.5
    py = (y - origin[1]) * CONTACT_CELLS_PER_METRE - 0.5
    size = keep.shape[0]
    if px < 0 or py < 0 or px >= size - 1 or py >= size - 1:
        return 1.0
    x0, y0 = int(px), int(py)
    fx, fy = px - x0, py - y0
    top = keep[y0, x0] * (1 - fx) + keep[y0, x0 + 1] * fx
    low = keep[y0 + 1, x0] * (1 - fx) + keep[y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + low * fy


@kernel
def _irradiance(m, px, py, pz, nx, ny, nz, distance, sunlight, contact):
    """Share of the sun, and light from sun, sky and ground, that reach a point of material `m` with a unit normal."""
    light, depth, sun_turn, sun_eye = sunlight
    keep, keep_origin = contact
    leafy = m == _LEAVES or m == _BRANCHES
    sun = nx * light.toward_sun[0] + ny * light.toward_sun[1] + nz * light.toward_sun[2]
    if leafy:
        sun = 0.35 + 0.65 * max(sun, 0.0)
    lit = 0.0
    if sun > 0 and light.sun[0] > 0.01:
        off = 0.06 + 0.0015 * distance
        lit = sun * _sunlit(
            px + nx * off, py + ny * off, pz + nz * off, depth, sun_turn, sun_eye, 0.3 if leafy else 0.08
        )
    open_sky = 0.5 + 0.5 * nz
    if pz < 0.25 and (m == _ROAD or m == _PAVEMENT or m == _GRASS):
        dark = _kept(px, py, keep, keep_origin)
        open_sky *= dark
        lit *= 0.3 + 0.7 * dark
    elif leafy:
        open_sky = 0.45 + 0.4 * open_sky
    mean = 0.62
    er = (
        light.sun[0] * lit
        + open_sky * mean * (light.zenith[0] * 0.6 + light.horizon[0] * 0.4)
        + (1 - open_sky) * light.ground[0]
    )
    eg = (
        light.sun[1] * lit
        + open_sky * mean * (light.zenith[1] * 0.6 + light.horizon[1] * 0.4)
        + (1 - open_sky) * light.ground[1]
    )
    eb = (
        light.sun[2] * lit
        + open_sky * mean * (light.zenith[2] * 0.6 + light.horizon[2] * 0.4)
        + (1 - open_sky) * light.ground[2]
    )
    return lit, er, eg, eb


@kernel
def _glossy(r, g, b, gloss, lit, dx, dy, dz, nx, ny, nz, facing, light, noise):
    """A point's radiance with what it mirrors of sky, surroundings and sun."""
    mx, my, mz = dx - 2 * facing * nx, dy - 2 * facing * ny, dz - 2 * facing * nz
    fresnel = 1.0 + facing
    shine = gloss * (0.05 + 0.95 * fresnel**4) + gloss * gloss * 0.12
    if mz > 0.12 + 0.08 * noise_at(noise, mx * 60 + my * 60, 5.0):
        sr, sg, sb = sky(mx, my, max(mz, 0.05), light, noise)
    else:
        dim = 0.16 + 0.1 * noise_at(noise, mx * 80 + my * 50, mz * 120)
        sr, sg, sb = light.horizon[0] * dim, light.horizon[1] * dim, light.horizon[2] * dim
    r += sr * shine
    g += sg * shine
    b += sb * shine
    glint = mx * light.toward_sun[0] + my * light.toward_sun[1] + mz * light.toward_sun[2]
    if glint > 0.9 and lit > 0:
        spark = gloss * 4.0 * ((glint - 0.9) * 10) ** 12
        r += light.sun[0] * spark
        g += light.sun[1] * spark
        b += light.sun[2] * spark
    return r, g, b


@kernel
def _sample(x, y, row, planes, triangle, view, things, sunlight, contact, textures, span):
    """Radiance r, g, b at raster position (x, y), where the surface of plane `row` (-1: sky) fills `span` samples, and
    whether it is the far tree line in the sky."""
    turn, eye, focal, cx, cy, _ = view
    normal, color, mat, obj, params = things
    light = sunlight[0]
    noise, cards, cards_far = textures
    vx = (x - cx) / focal
    vy = (y - cy) / focal
    rx = turn[0, 0] * vx + turn[1, 0] * vy + turn[2, 0]
    ry = turn[0, 1] * vx + turn[1, 1] * vy + turn[2, 1]
    rz = turn[0, 2] * vx + turn[1, 2] * vy + turn[2, 2]
    length = np.sqrt(rx * rx + ry * ry + rz * rz)
    dx, dy, dz = rx / length, ry / length, rz / length
    if row < 0:
        if dz < 0.08 and dz < skyline(np.arctan2(dy, dx), noise):
            r, g, b = far_trees(dx, dz, light, noise)
            return r, g, b, True
        r, g, b = sky(dx, dy, dz, light, noise)
        return r, g, b, False
    q = planes[row]
    w = q[0] * x + q[1] * y + q[2]
    u = (q[3] * x + q[4] * y + q[5]) / w
    v = (q[6] * x + q[7] * y + q[8]) / w
    z = 1.0 / w
    px, py, pz = eye[0] + rx * z, eye[1] + ry * z, eye[2] + rz * z
    t = triangle[row]
    m = mat[t]
    nx, ny, nz = normal[t, 0], normal[t, 1], normal[t, 2]
    facing = nx * dx + ny * dy + nz * dz
    leafy = m == _LEAVES or m == _BRANCHES
    if facing > 0 and not leafy:
        nx, ny, nz, facing = -nx, -ny, -nz, -facing
    across = span * z / focal
    if leafy:
        across = (abs(q[3]) + abs(q[4])) * 0.5 / w
    along = across / max(-facing, 0.03)
    ar, ag, ab, gloss = surface(m, u, v, color[t], params[obj[t]], across, along, noise, cards, cards_far)
    distance = z * length
    haze = 1.0 - np.exp(-distance * light.haze)
    if m == _LAMP:
        return (
            ar + (light.horizon[0] - ar) * haze,
            ag + (light.horizon[1] - ag) * haze,
            ab + (light.horizon[2] - ab) * haze,
            False,
        )
    lit, er, eg, eb = _irradiance(m, px, py, pz, nx, ny, nz, distance, sunlight, contact)
    r, g, b = ar * er, ag * eg, ab * eb
    if gloss > 0.01:
        r, g, b = _glossy(r, g, b, gloss, lit, dx, dy, dz, nx, ny, nz, facing, light, noise)
    return (
        r + (light.horizon[0] * 0.95 - r) * haze,
        g + (light.horizon[1] * 0.95 - g) * haze,
        b + (light.horizon[2] * 0.95 - b) * haze,
        False,
    )


@kernel
def _samples_needed(row, col, plane, triangle, mat):
    """1 where one surface without sharp patterns fills the pixel, 2 where its patterns are sharp, 4 at edges."""
    y, x = row * SAMPLES, col * SAMPLES
    first = plane[y, x]
    if plane[y, x + 1] != first or plane[y + 1, x] != first or plane[y + 1, x + 1] != first:
        return 4
    if first < 0:
        return 1
    kind = mat[triangle[first]]
    if kind == _FACADE or kind == _WHEEL:
        return 2
    return 4 if kind == _SIGN or kind == _TEXT else 1


@kernel
def _label_at(y, x, key, plane, triangle, veil_key, veil, label, trees):
    if veil[y, x] != 255 and veil_key[y, x] > key[y, x]:
        return veil[y, x]
    if plane[y, x] >= 0:
        return label[triangle[plane[y, x]]]
    return _TREE if trees else _SKY


@kernel
def _shade(fragments, label, view, things, sunlight, contact, textures, image, classes, votes):
    """Fills `image` float32 H×W×3 (linear, exposed) and `classes` uint8 H×W from 2H×2W samples."""
    key, plane, planes, triangle, veil_key, veil = fragments
    mat = things[2]
    exposure = sunlight[0].exposure
    rows, cols = classes.shape
    for row in range(rows):
        for col in range(cols):
            r = g = b = 0.0
            count = _samples_needed(row, col, plane, triangle, mat)
            trees = False
            for k in range(4):
                y = row * SAMPLES + k // SAMPLES
                x = col * SAMPLES + k % SAMPLES
                if count == 4 or (count == 2 and (k == 0 or k == 3)) or k == 0:
                    sx, sy = (x + 0.5, y + 0.5) if count > 1 else (x + 1.0, y + 1.0)
                    sr, sg, sb, trees = _sample(
                        sx,
                        sy,
                        plane[y, x],
                        planes,
                        triangle,
                        view,
                        things,
                        sunlight,
                        contact,
                        textures,
                        1.0 if count == 4 else 2.0,
                    )
                    r += min(sr * exposure, _CLIP)
                    g += min(sg * exposure, _CLIP)
                    b += min(sb * exposure, _CLIP)
                votes[k] = _label_at(y, x, key, plane, triangle, veil_key, veil, label, trees)
            image[row, col, 0] = r / count
            image[row, col, 1] = g / count
            image[row, col, 2] = b / count
            best, most = votes[0], 0
            for k in range(4):
                same = 0
                for n in range(4):
                    if votes[n] == votes[k]:
                        same += 1
                if same > most:
                    best, most = votes[k], same
            classes[row, col] = best


def shade(
    fragments: Fragments,
    mesh: Mesh,
    textures: Textures,
    light: Light,
    shadows: ShadowMap,
    contact: ContactMap,
    camera: View,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The picture (float32 H×W×3, linear light times exposure) and its labels (uint8 H×W) from 2H×2W fragments;
    `camera` as given to `rasterize`."""
    rows, cols = fragments.key.shape[0] // SAMPLES, fragments.key.shape[1] // SAMPLES
    image = np.empty((rows, cols, 3), np.float32)
    classes = np.empty((rows, cols), np.uint8)
    _shade(
        tuple(fragments),
        mesh.label,
        camera,
        (mesh.normal, mesh.color, mesh.mat, mesh.obj, mesh.params),
        (light, shadows.depth, shadows.turn, shadows.eye),
        (contact.keep, contact.origin),
        (textures.noise, textures.cards, textures.cards_far),
        image,
        classes,
        np.empty(4, np.int64),
    )
    return image, classes
