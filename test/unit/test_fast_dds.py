"""The Fast DDS profile for large images, and how processes come to use it."""

import xml.etree.ElementTree as ElementTree

import pytest

from dcfm_ros.node import fast_dds
from dcfm_ros.node.fast_dds import profile_setting
from dcfm_ros.share import share_path

SPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [
        (None, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
        ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_one_variable_for_each_distribution(distribution, variable):
    environment = {"ROS_DISTRO": distribution} if distribution else {}
    assert profile_setting(environment, "/x.xml") == {variable: "/x.xml"}


@pytest.mark.parametrize("variable", ["FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"])
def test_a_profile_that_is_set_stays(variable):
    assert profile_setting({variable: "/mine.xml"}, "/x.xml") == {}


def test_the_profile_has_room_for_many_large_images():
    root = ElementTree.parse(share_path("config", "fastdds.xml")).getroot()
    (segment,) = root.iter(f"{SPACE}segment_size")
    assert int(segment.text) >= 20 * 1280 * 720 * 3
    used = {element.text for element in root.iter(f"{SPACE}userTransports") for element in element}
    defined = {element.text for element in root.iter(f"{SPACE}transport_descriptor") for element in element}
    assert len(used) == 2 and used <= defined


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(fast_dds, "shortage", lambda folder: "too little")


def test_little_memory_gets_small_segments(small_memory, tmp_path):
    large, small = (str(share_path("config", name)) for name in (fast_dds.LARGE, fast_dds.SMALL))
    assert profile_setting({}, large, tmp_path) == {"FASTDDS_DEFAULT_PROFILES_FILE": small}
    environment = {"FASTRTPS_DEFAULT_PROFILES_FILE": large}
    assert fast_dds.prepare(environment, tmp_path) == ["too little"]
    assert environment == {"FASTRTPS_DEFAULT_PROFILES_FILE": small}


def test_a_profile_of_the_users_own_stays_in_little_memory(small_memory, tmp_path):
    environment = {"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}
    fast_dds.prepare(environment, tmp_path)
    assert environment == {"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}


def test_another_middleware_needs_no_such_memory(small_memory, tmp_path):
    assert fast_dds.prepare({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, tmp_path) == []
