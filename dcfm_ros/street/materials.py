"""Numbers of the surface materials; `texture.py` and `shade.py` say what they look like."""

from __future__ import annotations

PLAIN = 0
ROAD = 1  # u = metres to the left of the centre line, v = metres along it
PAVEMENT = 2
FACADE = 3  # u, v = metres along and up the wall; window grid in the object's parameters
ROOF = 4
GLASS = 5
PAINT = 6  # car body
GRASS = 7
LAMP = 8  # shines by itself
BRICK = 9
HEDGE = 10
BARK = 11
WHEEL = 12  # u, v in -1..1 over the disc
TEXT = 13  # letters on a board; parameter 0 is a seed
SKIN = 14  # cloth and skin: matt, seen from all sides

# Materials with holes: `covered` in raster.py decides, pixel by pixel.
FIRST_CUT = 20
LEAVES = 20  # parameter: none; u, v in 0..1 over the card, integer part of u names the card
BRANCHES = 21
RAILING = 22  # u, v in metres
SIGN = 23  # u, v in -1..1; parameter 0 is the kind of sign
SPOKES = 24  # u, v in -1..1 over the wheel
MESHWIRE = 25  # u, v in metres
