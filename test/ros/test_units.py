"""Parts of the node that need no graph."""

import math
import threading

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from ros_graph import camera_info
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from dcfm_ros.node import health as health_module
from dcfm_ros.node.camera_info import scaled_camera_info
from dcfm_ros.node.diagnostics import CameraDiagnostics
from dcfm_ros.node.fast_dds import VARIABLES
from dcfm_ros.node.health import Health
from dcfm_ros.node.inbox import Inbox
from dcfm_ros.node.odometry import pose_of, wants_odometry
from dcfm_ros.node.parameters import NodeConfig
from dcfm_ros.node.publish import png_message
from dcfm_ros.stream.config import StreamConfig


def test_a_full_inbox_drops_the_oldest():
    inbox = Inbox(2)
    assert [inbox.put(value) for value in "abcd"] == [0, 0, 1, 1]
    assert [inbox.take(), inbox.take()] == ["c", "d"]


def test_a_closed_inbox_wakes_who_waits_and_forgets_the_rest():
    inbox, taken = Inbox(3), []
    waiting = threading.Thread(target=lambda: taken.append(inbox.take()))
    waiting.start()
    assert inbox.close() == 0
    waiting.join(10)
    assert taken == [None]
    other = Inbox(3)
    other.put("a")
    assert not other.closed
    assert other.close() == 1 and other.closed
    assert other.take() is None


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


def test_odometry_becomes_a_pose():
    message = Odometry()
    message.pose.pose.position.x, message.pose.pose.position.z = 1.0, 3.0
    message.pose.pose.orientation.z, message.pose.pose.orientation.w = 0.6, 0.8
    pose = pose_of(message)
    assert pose.position == (1.0, 0.0, 3.0)
    assert pose.orientation == (0.0, 0.0, 0.6, 0.8)


def test_odometry_is_wanted_where_a_trigger_looks_at_it():
    assert not wants_odometry(StreamConfig())
    assert wants_odometry(StreamConfig(odometry_distance_m=1.0))
    assert wants_odometry(StreamConfig(odometry_angle_deg=5.0))


def test_png_keeps_every_value():
    import cv2

    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    data = np.frombuffer(png_message(Header(), mask).data, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), mask)


def judged(health, *, config=None, running=True, publishers=1, incompatible=0, stands=False, enabled=True):
    statuses = CameraDiagnostics("dcfm: ", "image").statuses(
        health.report(running=running),
        config or NodeConfig(),
        publishers=publishers,
        incompatible=incompatible,
        clock_stands=stands,
        enabled=enabled,
    )
    return {status.name.removeprefix("dcfm: "): status for status in statuses}


def test_before_the_first_image_the_diagnostics_say_what_they_wait_for():
    status = judged(Health(), publishers=0)["input"]
    assert status.level == DiagnosticStatus.WARN
    assert "waiting for images on image (0 publishers)" in status.message


NEW_VARIABLE, OLD_VARIABLE = VARIABLES


@pytest.fixture
def hint(monkeypatch):
    """What the diagnostics advise where images get lost, in an environment with these variables."""

    def of(**environment):
        for variable in (*VARIABLES, "ROS_DISTRO"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        health = Health()
        health.image_came(stamped=True)
        health.count("lost", 7)
        status = judged(health)["input"]
        assert status.level == DiagnosticStatus.WARN and "7 images lost" in status.message
        return status.message

    return of


@pytest.mark.parametrize(
    "distribution, variable", [("kilted", NEW_VARIABLE), ("jazzy", OLD_VARIABLE), ("humble", OLD_VARIABLE)]
)
def test_lost_images_are_a_warning_that_names_the_cure(hint, distribution, variable):
    assert f"set {variable} to" in hint(ROS_DISTRO=distribution)


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("distribution", ["kilted", "humble"])
def test_a_profile_that_is_set_is_named(hint, variable, distribution):
    message = hint(ROS_DISTRO=distribution, **{variable: "/x.xml"})
    assert f"{variable}=/x.xml is set here" in message


def test_a_window_is_told_once():
    health = Health()
    health.image_came(stamped=True)
    health.bad_image("too green")
    assert "too green" in judged(health)["input"].message
    second = judged(health)["input"]
    assert "too green" not in second.message
    assert {entry.key: entry.value for entry in second.values}["failed"] == "1", "counts are for ever"


def test_bad_images_alone_are_an_error_and_among_good_ones_a_warning():
    health = Health()
    for _ in range(2):
        health.image_came(stamped=True)
    health.bad_image("too green")
    assert judged(health)["input"].level == DiagnosticStatus.WARN
    health.image_came(stamped=True)
    health.bad_image("too green")
    assert judged(health)["input"].level == DiagnosticStatus.ERROR


def test_silence_counts_from_the_last_start(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(health_module, "monotonic", lambda: now[0])
    health = Health()
    health.started()
    health.image_came(stamped=True)
    health.bad_image("too green")
    now[0] += 60
    health.started()
    now[0] += 1
    status = judged(health)["input"]
    assert (status.level, status.message) == (DiagnosticStatus.OK, "0.0 images/s")
    now[0] += 1.5
    status = judged(health)["input"]
    assert status.level == DiagnosticStatus.ERROR and "no image for 2.5 s" in status.message


def test_a_camera_that_has_never_sent_is_waited_for_after_a_start_too(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(health_module, "monotonic", lambda: now[0])
    health = Health()
    for _ in range(2):
        health.started()
        now[0] += 60
        status = judged(health)["input"]
        assert status.level == DiagnosticStatus.WARN and "waiting for images" in status.message


@pytest.mark.parametrize("enabled, message", [(True, "inactive"), (False, "paused by ~/enable")])
def test_who_is_not_running_is_not_judged(enabled, message):
    statuses = judged(Health(), running=False, enabled=enabled)
    assert {status.message for status in statuses.values()} == {message}
    assert {status.level for status in statuses.values()} == {DiagnosticStatus.OK}


def test_a_report_of_nothing_has_no_rates():
    report = Health().report(running=True)
    assert report.silent_s == math.inf
    assert report.counts.received == 0
