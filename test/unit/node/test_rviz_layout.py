"""rviz's layout: what it saved itself, and the same for several cameras."""

import re

import pytest
import yaml

from dcfm_ros.node.rviz_layout import ShownCamera, layout, shown_cameras
from dcfm_ros.share import share_path

SHIPPED = share_path("config", "dcfm.rviz").read_text()
STATE = "QMainWindow State"


def cameras(*names):
    return [ShownCamera(name, f"/{name}/image", f"/{name}/overlay", f"/{name}/mask") for name in names]


def panels(config):
    """Name -> whether it is shown, of every panel that has a place in the window."""
    state = bytes.fromhex(config["Window Geometry"][STATE])
    found = {}
    for match in re.finditer(rb"\xfb\0\0\0(.)", state, re.DOTALL):
        end = match.end() + match[1][0]
        found[state[match.end() : end].decode("utf-16-be")] = state[end] & 1 == 1
    return found


@pytest.mark.parametrize(
    "text",
    [SHIPPED, layout(SHIPPED, cameras("front", "rear")), layout(SHIPPED, cameras(*"abcdef"))],
    ids=["shipped", "two", "six"],
)
def test_a_display_is_on_where_its_panel_is_open_and_only_there(text):
    config = yaml.safe_load(text)
    displays = {each["Name"]: each for each in config["Visualization Manager"]["Displays"]}
    shown = panels(config)
    assert {name: shown[name] for name in displays} == {
        name: each["Enabled"] for name, each in displays.items()
    }
    assert all(each["Value"] == each["Enabled"] for each in displays.values())
    assert set(shown) == {*displays, "Displays", "Time"}
    assert set(displays) <= set(config["Window Geometry"])
    assert config["Visualization Manager"]["Transformation"]["Current"]["Class"] == "rviz_common/Identity"


def test_one_camera_is_laid_out_as_rviz_saved_it():
    same = shown_cameras(["image"], namespace="/")
    assert yaml.safe_load(layout(SHIPPED, same)) == yaml.safe_load(SHIPPED)


def test_every_camera_has_its_panels_on_its_topics():
    config = yaml.safe_load(layout(SHIPPED, cameras("front", "rear")))
    topics = {each["Name"]: each["Topic"]["Value"] for each in config["Visualization Manager"]["Displays"]}
    assert topics == {
        f"{kind} {name}": f"/{name}/{topic}"
        for name in ("front", "rear")
        for kind, topic in [("Overlay", "overlay"), ("Camera", "image"), ("Mask (class ids)", "mask")]
    }


def test_topics_are_resolved_as_ros_does_it():
    (one,) = shown_cameras(["~/image"], namespace="robot", node="eyes", transport="compressed")
    assert one == ShownCamera(
        "", "/robot/eyes/image/compressed", "/robot/segmentation/overlay", "/robot/segmentation/mask"
    )
    two = shown_cameras(["front/image", "/left"], namespace="")
    assert [each.name for each in two] == ["front", "left"]
    assert [each.image for each in two] == ["/front/image", "/left"]
    assert [each.mask for each in two] == ["/front/segmentation/mask", "/left/segmentation/mask"]
