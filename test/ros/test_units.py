"""Parts of the node that need no graph."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from ros_graph import camera_info
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from dcfm_ros.media.diagnostics import WARN, Status
from dcfm_ros.media.image_header import BadImage
from dcfm_ros.node.camera_info import scaled_camera_info
from dcfm_ros.node.convert import message_to_rgb
from dcfm_ros.node.diagnostics import input_of, status_message
from dcfm_ros.node.fast_dds import VARIABLES
from dcfm_ros.node.parameters import NodeConfig
from dcfm_ros.node.publish import png_message
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import Pose


def test_camera_info_with_binning_and_region_describes_the_mask():
    """A sensor of 1280×960, a region of 640×480 of it, binned by 2: the image is 320×240, the mask half of that."""
    info = camera_info((1280, 960))
    info.binning_x = info.binning_y = 2
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 320, 240, 640, 480
    header = Header(frame_id="mask")
    out = scaled_camera_info(info, header, (160, 120))
    assert out.header.frame_id == "mask"
    assert (out.width, out.height) == (640, 480)
    assert (out.roi.x_offset, out.roi.y_offset, out.roi.width, out.roi.height) == (160, 120, 320, 240)
    assert (out.binning_x, out.binning_y) == (2, 2)
    np.testing.assert_allclose(out.k, [640, 0, 320, 0, 480, 240, 0, 0, 1])
    np.testing.assert_allclose(out.p, [640, 0, 320, 3.5, 0, 480, 240, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(out.r, info.r)
    assert info.width == 1280, "the camera's own message is left as it is"


def test_camera_info_scales_each_axis_by_its_own_factor():
    out = scaled_camera_info(camera_info((200, 100)), Header(), (100, 25))
    np.testing.assert_allclose(out.k, [100, 0, 50, 0, 25, 12.5, 0, 0, 1])


def test_an_empty_camera_info_does_no_harm():
    out = scaled_camera_info(CameraInfo(), Header(), (100, 25))
    np.testing.assert_allclose(out.k, np.zeros(9))


def test_a_camera_info_beyond_its_fields_is_cut_to_them():
    out = scaled_camera_info(CameraInfo(width=1, height=1, binning_x=2**32 - 1), Header(), (100, 25))
    assert out.width == 2**32 - 1 and out.height == 25


def test_odometry_becomes_a_pose():
    message = Odometry()
    message.pose.pose.position.x, message.pose.pose.position.z = 1.0, 3.0
    message.pose.pose.orientation.z, message.pose.pose.orientation.w = 0.6, 0.8
    pose = Pose.of(message)
    assert pose.position == (1.0, 0.0, 3.0)
    assert pose.orientation == (0.0, 0.0, 0.6, 0.8)


def test_odometry_is_wanted_where_a_trigger_looks_at_it():
    assert not StreamConfig().wants_odometry
    assert StreamConfig(odometry_distance_m=1.0).wants_odometry
    assert StreamConfig(odometry_angle_deg=5.0).wants_odometry


def test_png_keeps_every_value():
    import cv2

    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    data = np.frombuffer(png_message(Header(), mask).data, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), mask)


NEW_VARIABLE, OLD_VARIABLE = VARIABLES


@pytest.fixture
def hint(monkeypatch):
    """What the diagnostics advise where images get lost, in an environment with these variables."""

    def of(**environment):
        for variable in (*VARIABLES, "ROS_DISTRO"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        camera = SimpleNamespace(topic="image", incompatible_publishers=0)
        return input_of(camera, NodeConfig(), kinds=()).loss_hint

    return of


@pytest.mark.parametrize(
    "distribution, variable", [("kilted", NEW_VARIABLE), ("jazzy", OLD_VARIABLE), ("humble", OLD_VARIABLE)]
)
def test_the_cure_for_lost_images_is_the_variable_that_the_distribution_reads(hint, distribution, variable):
    assert f"set {variable} to" in hint(ROS_DISTRO=distribution)


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("distribution", ["kilted", "humble"])
def test_a_profile_that_is_set_is_named(hint, variable, distribution):
    advice = hint(ROS_DISTRO=distribution, **{variable: "/x.xml"})
    assert f"{variable}=/x.xml is set here" in advice


def test_a_status_becomes_a_ros_message():
    message = status_message(Status("dcfm: input", WARN, "slow", {"received": 3, "rate": "1.5"}))
    assert (message.level, message.name, message.message) == (DiagnosticStatus.WARN, "dcfm: input", "slow")
    assert [(entry.key, entry.value) for entry in message.values] == [("received", "3"), ("rate", "1.5")]
    assert message.hardware_id == "dcfm"


def test_text_from_messages_does_not_reach_the_terminal_raw():
    message = status_message(Status("n", WARN, "bad\x1b[2J\nname", {"reason": "\u202eevil\x07" + 9000 * "x"}))
    assert message.message == "bad\\x1b[2J name"
    assert message.values[0].value.startswith("\\u202eevil\\x07xx") and len(message.values[0].value) == 2000


def test_a_broken_cv_bridge_is_a_failed_frame(monkeypatch):
    """As one that was built for another NumPy: its import raises anything."""

    class Broken:
        def find_spec(self, name, *_):
            if name == "cv_bridge":
                raise AttributeError("_ARRAY_API not found")

    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(BadImage, match="cv_bridge.* is broken: _ARRAY_API not found"):
        message_to_rgb(Image(encoding="invented", height=1, width=1, step=1, data=[0]))
