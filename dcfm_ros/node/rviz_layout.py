"""What rviz shows: for each camera a large overlay and a small camera image, and the mask switched off. Needs no ROS.

`config/dcfm.rviz` is the layout of one camera as rviz itself saved it. Panels lie where the main window's saved state
(Qt's `QMainWindow::saveState`) says. A panel without a place there becomes a thumbnail, and an open one switches its
display on, whatever the display says.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from dcfm_ros.node.topics import camera_topics, full_name

_TOP, _GAP, _HEIGHT, _CAMERAS_HEIGHT = 62, 6, 629, 225
_LEFT_WIDTH, _CENTRE_WIDTH, _RIGHT_WIDTH = 342, 41, 885
_NO_LIMIT = 0xFFFFFF
_HEAD = struct.pack(">IIBI", 0xFF, 0, 0xFD, 2)  # a state, version 0; docks, of which there are two
# Corners belong to the docks; the tool bar is at the top.
_TAIL = struct.pack(">4I", 4, 4, 8, 8) + struct.pack(">BIIII", 0xFC, 1, 2, 1, 10)
_TAIL += "Tools".encode("utf-16-be") + struct.pack(">B4I", 1, 0, 0xFFFFFFFF, 0, 0)


@dataclass(frozen=True)
class ShownCamera:
    """A camera in rviz: its name, "" for the only one, and the full names of its topics."""

    name: str
    image: str
    overlay: str
    mask: str


def shown_cameras(
    topics: Sequence[str], *, namespace: str, node: str = "dcfm", transport: str = "raw"
) -> list[ShownCamera]:
    """The cameras of a node: `topics` and `transport` as its parameters have them."""
    suffix = "" if transport == "raw" else f"/{transport}"
    return [
        ShownCamera(
            names.base.strip("~/"),
            *(
                full_name(topic, namespace, node)
                for topic in (f"{names.image}{suffix}", names.output("overlay"), names.output("mask"))
            ),
        )
        for names in camera_topics(topics)
    ]


def layout(shipped: str, cameras: Sequence[ShownCamera]) -> str:
    """The text of an rviz configuration for these cameras, of the text of `config/dcfm.rviz`."""
    config = yaml.safe_load(shipped)
    manager, window = config["Visualization Manager"], config["Window Geometry"]
    kinds = [display["Name"] for display in manager["Displays"]]
    topics = dict(zip(kinds, ("overlay", "image", "mask"), strict=True))
    manager["Displays"] = [
        _display(display, camera, getattr(camera, topics[display["Name"]]))
        for camera in cameras
        for display in manager["Displays"]
    ]
    for kind in kinds:
        del window[kind]
    panels = {kind: [_titled(kind, camera) for camera in cameras] for kind in kinds}
    window.update({title: {"collapsed": False} for titles in panels.values() for title in titles})
    window["QMainWindow State"] = _state(*panels.values()).hex()
    return str(yaml.safe_dump(config))


def _display(display: dict[str, Any], camera: ShownCamera, topic: str) -> dict[str, Any]:
    made = copy.deepcopy(display)
    made["Name"] = _titled(display["Name"], camera)
    made["Topic"]["Value"] = topic
    return made


def _titled(kind: str, camera: ShownCamera) -> str:
    return f"{kind} {camera.name}".rstrip()


def _state(overlays: list[str], cameras: list[str], masks: list[str]) -> bytes:
    """The main window's state: masks hidden, cameras above the displays on the left, overlays on the right."""
    left = [
        *(_panel(title, _TOP, 115, shown=False) for title in masks),
        *_stacked(cameras, _CAMERAS_HEIGHT),
        _panel("Displays", _TOP + _CAMERAS_HEIGHT + _GAP, _HEIGHT - _CAMERAS_HEIGHT - _GAP, least=203),
        _panel("Time", 620, 71, least=57, shown=False),
    ]
    docks = _dock(0, _LEFT_WIDTH, left) + _dock(1, _RIGHT_WIDTH, _stacked(overlays, _HEIGHT))
    return _HEAD + docks + struct.pack(">2I", _CENTRE_WIDTH, _HEIGHT) + _TAIL


def _dock(side: int, width: int, panels: list[bytes]) -> bytes:
    return struct.pack(">3IBBI", side, width, _HEIGHT, 0xFC, 2, len(panels)) + b"".join(panels)


def _stacked(titles: list[str], height: int) -> list[bytes]:
    """Panels one below the other that share a height."""
    each = (height - _GAP * (len(titles) - 1)) // len(titles)
    return [_panel(title, _TOP + index * (each + _GAP), each) for index, title in enumerate(titles)]


def _panel(title: str, top: int, height: int, *, least: int = 22, shown: bool = True) -> bytes:
    name = title.encode("utf-16-be")
    return (
        struct.pack(">BI", 0xFB, len(name)) + name + struct.pack(">B4I", shown, top, height, least, _NO_LIMIT)
    )
