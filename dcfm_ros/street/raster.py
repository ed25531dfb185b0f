"""Triangles to pixels: a z-buffer for the camera (perspective) and for the sun (parallel, the shadow map)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcfm_ros.street import materials
from dcfm_ros.street.cutout import covered
from dcfm_ros.street.jit import kernel
from dcfm_ros.street.mesh import Mesh
from dcfm_ros.street.textures import Textures

NEAR = 0.15
"""Metres in front of the camera where triangles are cut off."""


class View(NamedTuple):
    """From where things are seen: `turn` 3×3 has the rows right, down, forward; `eye` in metres; `focal` length and the
    centre `cx`, `cy` in samples. `parallel`: rays do not meet in the eye, and `focal` is samples per metre."""

    turn: NDArray[np.float64]
    eye: NDArray[np.float64]
    focal: float
    cx: float
    cy: float
    parallel: bool = False


class Fragments(NamedTuple):
    """What is seen at every sample of an H×W raster.

    `key` float32 H×W: 1/depth, 0 where nothing is; `plane` int32 H×W: row of `planes`, -1 for nothing; `planes` float64
    M×9: 1/depth, u/depth and v/depth as a·x + b·y + c; `triangle` int32 M: the triangle of a row; `veil_key` float32 and
    `veil` uint8 H×W: distance and label of the nearest surface with holes whose hole is at this sample (255: none).
    """

    key: NDArray[np.float32]
    plane: NDArray[np.int32]
    planes: NDArray[np.float64]
    triangle: NDArray[np.int32]
    veil_key: NDArray[np.float32]
    veil: NDArray[np.uint8]


@kernel
def _planes(screen, area, row):
    """Writes to `row` key, u·w and v·w of a screen triangle as planes a·x + b·y + c."""
    x0, y0 = screen[0, 0], screen[0, 1]
    ax, ay = screen[1, 0] - x0, screen[1, 1] - y0
    bx, by = screen[2, 0] - x0, screen[2, 1] - y0
    for k in range(3):
        da = screen[1, 2 + k] - screen[0, 2 + k]
        db = screen[2, 2 + k] - screen[0, 2 + k]
        gx = (da * by - db * ay) / area
        gy = (db * ax - da * bx) / area
        row[3 * k] = gx
        row[3 * k + 1] = gy
        row[3 * k + 2] = screen[0, 2 + k] - gx * x0 - gy * y0


@kernel
def _span(screen, sign, yc, left, right, cols):
    """First and last column of a screen triangle in the row with centre `yc`; `sign` of its area."""
    lo, hi = max(left, 0.5), min(right, cols - 0.5)
    for k in range(3):
        n = (k + 1) % 3
        ex = sign * (screen[k, 1] - screen[n, 1])
        ey = sign * (screen[n, 0] - screen[k, 0])
        c = -(ex * screen[k, 0] + ey * screen[k, 1]) + ey * yc
        if ex > 1e-12:
            lo = max(lo, -c / ex)
        elif ex < -1e-12:
            hi = min(hi, -c / ex)
        elif c < 0:
            hi = -1.0
    return int(np.ceil(lo - 0.5)), int(np.floor(hi - 0.5))


@kernel
def _fill(screen, ortho, mat, label, param, cards, buffers, number, row):
    """Draws one screen triangle; `screen` 3×5: x, y, key, u·w, v·w. Writes its planes to `row`; says whether any sample
    was set."""
    key, plane, veil_key, veil = buffers
    rows, cols = key.shape
    x0, y0 = screen[0, 0], screen[0, 1]
    ax, ay = screen[1, 0] - x0, screen[1, 1] - y0
    bx, by = screen[2, 0] - x0, screen[2, 1] - y0
    area = ax * by - bx * ay
    if abs(area) < 1e-9:
        return False
    top = min(screen[0, 1], screen[1, 1], screen[2, 1])
    low = max(screen[0, 1], screen[1, 1], screen[2, 1])
    left = min(screen[0, 0], screen[1, 0], screen[2, 0])
    right = max(screen[0, 0], screen[1, 0], screen[2, 0])
    first = max(0, int(np.ceil(top - 0.5)))
    last = min(rows - 1, int(np.floor(low - 0.5)))
    if first > last or right < 0.5 or left > cols - 0.5:
        return False
    _planes(screen, area, row)
    sign = 1.0 if area > 0 else -1.0
    cut = mat >= materials.FIRST_CUT
    drawn = False
    for y in range(first, last + 1):
        yc = y + 0.5
        start, stop = _span(screen, sign, yc, left, right, cols)
        depth = row[0] * (start + 0.5) + row[1] * yc + row[2]
        for x in range(max(start, 0), min(stop, cols - 1) + 1):
            if depth > key[y, x]:
                if cut:
                    w = 1.0 if ortho else depth
                    xc = x + 0.5
                    u = (row[3] * xc + row[4] * yc + row[5]) / w
                    v = (row[6] * xc + row[7] * yc + row[8]) / w
                    print_u = (abs(row[3]) + abs(row[4])) * 0.5 / w
                    state = covered(mat, u, v, print_u, param, cards[0], cards[1])
                    if state == 2:
                        key[y, x] = depth
                        plane[y, x] = number
                        drawn = True
                    elif state == 1 and depth > veil_key[y, x]:
                        veil_key[y, x] = depth
                        veil[y, x] = label
                else:
                    key[y, x] = depth
                    plane[y, x] = number
                    drawn = True
            depth += row[0]
    return drawn


@kernel
def _clip_near(view, poly):
    """Writes to `poly` what of the triangle `view` lies beyond the near plane; returns its number of corners."""
    count = 0
    for k in range(3):
        n = (k + 1) % 3
        if view[k, 2] >= NEAR:
            for a in range(5):
                poly[count, a] = view[k, a]
            count += 1
        if (view[k, 2] < NEAR) != (view[n, 2] < NEAR):
            cut = (NEAR - view[k, 2]) / (view[n, 2] - view[k, 2])
            for a in range(5):
                poly[count, a] = view[k, a] + cut * (view[n, a] - view[k, a])
            poly[count, 2] = NEAR
            count += 1
    return count


@kernel
def _outside(view, ortho, wide, high):
    """Whether a triangle lies wholly beyond one side of the picture, |x| > wide · depth or |y| > high · depth."""
    left = right = top = low = True
    for k in range(3):
        depth = 1.0 if ortho else view[k, 2]
        left &= view[k, 0] < -wide * depth
        right &= view[k, 0] > wide * depth
        top &= view[k, 1] < -high * depth
        low &= view[k, 1] > high * depth
    return left or right or top or low


@kernel
def _draw(pos, uv, things, cards, camera, buffers, planes, triangle, scratch):
    """Draws all triangles; returns how many rows of `planes` it used."""
    mat, label, obj, params = things
    turn, eye, focal, cx, cy, ortho = camera
    view, poly, screen, row = scratch
    rows, cols = buffers[0].shape
    wide = max(cx, cols - cx) / focal
    high = max(cy, rows - cy) / focal
    used = 0
    for t in range(pos.shape[0]):
        behind = 0
        for k in range(3):
            dx = pos[t, k, 0] - eye[0]
            dy = pos[t, k, 1] - eye[1]
            dz = pos[t, k, 2] - eye[2]
            for a in range(3):
                view[k, a] = turn[a, 0] * dx + turn[a, 1] * dy + turn[a, 2] * dz
            view[k, 3] = uv[t, k, 0]
            view[k, 4] = uv[t, k, 1]
            if view[k, 2] < NEAR:
                behind += 1
        if (behind == 3 and not ortho) or _outside(view, ortho, wide, high):
            continue
        if ortho or behind == 0:
            count = 3
            for k in range(3):
                for a in range(5):
                    poly[k, a] = view[k, a]
        else:
            count = _clip_near(view, poly)
        for fan in range(1, count - 1):
            for k in range(3):
                n = 0 if k == 0 else fan + k - 1
                w = 1.0 if ortho else 1.0 / poly[n, 2]
                screen[k, 0] = poly[n, 0] * w * focal + cx
                screen[k, 1] = poly[n, 1] * w * focal + cy
                screen[k, 2] = -poly[n, 2] if ortho else w
                screen[k, 3] = poly[n, 3] * w
                screen[k, 4] = poly[n, 4] * w
            param = params[obj[t], 0]
            if _fill(screen, ortho, mat[t], label[t], param, cards, buffers, used, row):
                for a in range(9):
                    planes[used, a] = row[a]
                triangle[used] = t
                used += 1
    return used


def _run(
    mesh: Mesh, textures: Textures, camera: View, buffers: tuple[NDArray[Any], ...]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Draws a mesh into `buffers` (key, plane, veil key, veil); returns the planes used and their triangles."""
    room = 2 * len(mesh.mat) + 1
    planes, triangle = np.empty((room, 9)), np.empty(room, np.int32)
    scratch = (np.empty((3, 5)), np.empty((4, 5)), np.empty((3, 5)), np.empty(9))
    things = (mesh.mat, mesh.label, mesh.obj, mesh.params)
    cards = (textures.cards, textures.cards_far)
    used = _draw(mesh.pos, mesh.uv, things, cards, camera, buffers, planes, triangle, scratch)
    return planes[:used], triangle[:used]


def rasterize(mesh: Mesh, textures: Textures, size: tuple[int, int], camera: View) -> Fragments:
    """What a pinhole camera sees; `size` = (width, height) samples."""
    width, height = size
    key = np.zeros((height, width), np.float32)
    plane = np.full((height, width), -1, np.int32)
    veil_key = np.zeros((height, width), np.float32)
    veil = np.full((height, width), 255, np.uint8)
    planes, triangle = _run(mesh, textures, camera, (key, plane, veil_key, veil))
    return Fragments(key, plane, planes, triangle, veil_key, veil)


def shadow_depth(
    mesh: Mesh,
    textures: Textures,
    cells: int,
    turn: NDArray[np.float64],
    eye: NDArray[np.float64],
    cells_per_metre: float,
) -> NDArray[np.float32]:
    """Depth seen from the sun, float32 cells×cells: minus the metres along the sun's ray from `eye`, -1e9 where nothing is."""
    key = np.full((cells, cells), -1e9, np.float32)
    plane = np.empty((cells, cells), np.int32)
    veil_key = np.full((cells, cells), 1e9, np.float32)
    veil = np.empty((cells, cells), np.uint8)
    camera = View(turn, eye, float(cells_per_metre), cells / 2, cells / 2, parallel=True)
    _run(mesh, textures, camera, (key, plane, veil_key, veil))
    return key
