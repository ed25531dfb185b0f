"""The Fast DDS profile for large images, and how processes come to use it."""

import xml.etree.ElementTree as ElementTree

import pytest

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
