"""Numbers of the surface materials; `surface.py` says what they look like, `params.py` what objects tell them."""

from __future__ import annotations

PLAIN = 0
ROAD = 1  # u = metres to the left of the centre line, v = metres along it
PAVEMENT = 2
FACADE = 3  # u, v = metres along and up the wall
ROOF = 4
GLASS = 5
PAINT = 6  # car body
GRASS = 7
LAMP = 8  # shines by itself
BRICK = 9
HEDGE = 10
BARK = 11
WHEEL = 12  # u, v in -1..1 over the disc
TEXT = 13  # letters on a board
SKIN = 14  # cloth and skin: matt, seen from all sides

# Materials with holes: `covered` in cutout.py decides, pixel by pixel.
FIRST_CUT = 20
LEAVES = 20  # u, v in 0..1 over the card, integer part of u names the card
BRANCHES = 21
RAILING = 22  # u, v in metres
SIGN = 23  # u, v in -1..1
SPOKES = 24  # u, v in -1..1 over the wheel
MESHWIRE = 25  # u, v in metres
