"""What keeps the node from starting is told before a library crashes over it."""

import pytest

from dcfm_ros.node.environment import unusable

ENFORCED = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


@pytest.mark.parametrize(
    "given, told",
    [
        ({"ROS_DOMAIN_ID": "abc"}, "ROS_DOMAIN_ID is 'abc'"),
        ({"ROS_DOMAIN_ID": "-3"}, "0 to 232"),
        ({"ROS_DOMAIN_ID": "233"}, "0 to 232"),
        ({"ROS_DOMAIN_ID": "1.5"}, "0 to 232"),
        (
            {"RMW_IMPLEMENTATION": "rmw_nothing_cpp"},
            "'rmw_nothing_cpp', which is not installed here; installed: rmw_a",
        ),
        (ENFORCED, "ROS_SECURITY_KEYSTORE"),
    ],
)
def test_what_cannot_work_is_named(given, told):
    assert told in unusable(given, {"rmw_a"})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ROS_DOMAIN_ID": "", "RMW_IMPLEMENTATION": ""},
        {"ROS_DOMAIN_ID": "232", "RMW_IMPLEMENTATION": "rmw_a"},
        {**ENFORCED, "ROS_SECURITY_KEYSTORE": "/keys"},
        {**ENFORCED, "ROS_SECURITY_STRATEGY": "Permissive"},
        {**ENFORCED, "ROS_SECURITY_ENABLE": "false"},
    ],
)
def test_what_may_work_is_left_alone(given):
    assert unusable(given, {"rmw_a"}) == ""


def test_where_nobody_knows_the_middlewares_any_name_may_be_one():
    assert unusable({"RMW_IMPLEMENTATION": "rmw_b"}) == ""
