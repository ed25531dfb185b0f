"""What single objects tell their material: a row of `Mesh.params`, named. Kernels read rows, builders write them.

Materials of one number read the first of the row: a sign or a board of text its kind or seed, a railing, a wire fence or a
brick wall its height in metres (0: no top), a pavement its seed, a wheel its turn (0-1).
"""

from __future__ import annotations

from typing import NamedTuple

from dcfm_ros.street.jit import kernel


class RoadParams(NamedTuple):
    """`left`, `right`: the kerbs' distances from the centre line (right is negative), `lane`: a lane's width, m. `centre`: 0 no
    line, 1 and 2 dashes, 3 a double line. `edges`: number of yellow lines. `park_left`, `park_right`: width of the parking bays,
    m; 0: none. `zebra`, `arrow`: where along the road one begins, m; 0: none."""

    seed: float
    left: float
    right: float
    lane: float
    centre: float
    edges: float
    park_left: float
    park_right: float
    zebra: float
    arrow: float


class FrontParams(NamedTuple):
    """Of a wall with windows, m. `style`: 0 brick, 1 render, 2 stone blocks, 3 panels. `shop`: 1 where the ground floor is one.
    `red`, `green`, `blue`: of doors and shops. `frame`: brightness of window frames. `sash`: 0-2, how many bars they have."""

    seed: float
    storey: float
    ground: float
    bay: float
    window_width: float
    window_height: float
    style: float
    shop: float
    red: float
    green: float
    blue: float
    frame: float
    height: float
    width: float
    sash: float


class SignParams(NamedTuple):
    """`kind`: 0 red ring, 1 warning triangle, 2 blue or green board, 3 blue disc, 4 advert, 5 back."""

    kind: float
    seed: float


@kernel
def road_params(row):
    """A row of the parameter table as RoadParams."""
    return RoadParams(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9])


@kernel
def front_params(row):
    """A row of the parameter table as FrontParams."""
    return FrontParams(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11],
        row[12], row[13], row[14],
    )  # fmt: skip


@kernel
def sign_params(row):
    """A row of the parameter table as SignParams."""
    return SignParams(row[0], row[1])
