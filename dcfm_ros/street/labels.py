"""The CamVid class ids that the street drive writes into its label images."""

from __future__ import annotations

SKY = 0
BUILDING = 1
POLE = 2
ROAD = 3
PAVEMENT = 4
TREE = 5
SIGN = 6
FENCE = 7
CAR = 8
PEDESTRIAN = 9
BICYCLIST = 10
NONE = 255
"""What CamVid leaves unlabelled: bins, post boxes."""
