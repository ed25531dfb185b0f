"""Parameters: descriptors, changes under load, refusals with a reason."""

import threading

import pytest
from dcfm_ros.msg import FrameTiming
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, ListParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from ros_graph import image, picture, pixels_of, stamp_of
from sensor_msgs.msg import Image

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.parameters import ANY_TIME, table


def values(**changes):
    return [Parameter(name, value=value).to_parameter_msg() for name, value in changes.items()]


@pytest.fixture
def change(graph):
    """Changes parameters as a whole, through the service; the result."""

    def call(**changes):
        request = SetParametersAtomically.Request(parameters=values(**changes))
        service = "dcfm/set_parameters_atomically"
        return graph.probe.call(SetParametersAtomically, service, request).result

    return call


def test_every_parameter_has_a_descriptor_with_its_range(graph):
    graph.node()
    probe = graph.probe
    listed = probe.call(ListParameters, "dcfm/list_parameters", ListParameters.Request()).result.names
    known = {parameter.name: parameter for parameter in table()}
    assert set(known) <= set(listed)
    request = DescribeParameters.Request(names=list(known))
    descriptors = probe.call(DescribeParameters, "dcfm/describe_parameters", request).descriptors
    for parameter, descriptor in zip(known.values(), descriptors, strict=True):
        assert descriptor.description == parameter.text
        assert parameter.when in descriptor.additional_constraints
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        limits = parameter.field.metadata
        if type(parameter.ros_default) in (int, float):
            (allowed,) = ranges
            assert (allowed.from_value, allowed.to_value) == (limits["low"], limits["high"]), parameter.name
        for choice in limits["choices"]:
            assert choice in descriptor.additional_constraints
    assert next(d for d in descriptors if d.name == "autostart").read_only


def test_changes_under_load_take_effect_and_lose_no_frame(graph, change):
    node = graph.node(
        input_reliability="reliable", input_depth=500, key_interval=5, key_period_ms=0.0, motion_threshold=0.0
    )
    probe = graph.probe
    camera = probe.camera()
    masks, timings = probe.listen(Image, "segmentation/mask"), probe.listen(FrameTiming, "dcfm/timing")
    probe.matched(camera)
    graph.ready(node, masks, timings)
    ended, sent = threading.Event(), []

    def play():
        while not ended.is_set():
            sent.append(stamp_of(len(sent)))
            camera.publish(image(picture(len(sent)), sent[-1]))
            ended.wait(0.02)

    player = threading.Thread(target=play)
    player.start()
    try:
        masks.wait(10)
        for interval, size in ((2, "network"), (3, "80x48"), (1, "input"), (4, "network")):
            assert change(key_interval=interval, mask_size=size).successful
            masks.wait(len(masks.messages) + 15)
    finally:
        ended.set()
        player.join()
    masks.wait_for(sent[-1])
    timings.wait_for(sent[-1])
    assert masks.stamps == sent
    sizes = {(m.width, m.height) for m in masks.messages}
    assert sizes == {(160, 96), (96, 64), (80, 48)}
    last = timings.messages[-6:]
    assert [t.key_frame for t in last].count(True) <= 2, "every fourth frame is a key frame in the end"
    assert (timings.messages[-1].failed, timings.messages[-1].dropped) == (0, 0)


def test_a_change_of_looks_does_not_reset_the_stream(graph, change):
    node = graph.node(key_period_ms=0.0, motion_threshold=0.0)
    camera, timings = graph.probe.camera(), graph.probe.listen(FrameTiming, "dcfm/timing")
    graph.probe.matched(camera)
    graph.ready(node, timings)
    camera.publish(image(picture(), stamp_of(0)))
    timings.wait(1)
    assert change(overlay_alpha=0.9, budget_ms=50.0).successful
    camera.publish(image(picture(), stamp_of(1)))
    timings.wait(2)
    assert [t.trigger for t in timings.messages] == ["first", ""]


def test_the_overlays_look_changes_at_once(graph, change):
    node = graph.node(overlay_legend=False)
    camera, overlays = graph.probe.camera(), graph.probe.listen(Image, "segmentation/overlay")
    graph.probe.matched(camera)
    graph.ready(node, overlays)
    camera.publish(image(picture(), stamp_of(0)))
    overlays.wait(1)
    assert change(overlay_alpha=0.0).successful
    camera.publish(image(picture(), stamp_of(1)))
    overlays.wait(2)
    before, after = (pixels_of(message) for message in overlays.messages)
    assert (after == picture()).all() and not (before == picture()).all()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"key_interval": -1}, ["key_interval"]),
        ({"key_interval": 2.5}, ["key_interval", "whole number from 0"]),
        ({"max_age_ms": 0.0}, ["max_age_ms"]),
        ({"max_age_ms": float("nan")}, ["max_age_ms"]),
        ({"motion_threshold": 1.5}, ["motion_threshold"]),
        ({"mode": "sideways"}, ["mode", "inline", "background"]),
        ({"background": "process"}, ["background 'process' was removed; use 'slices' or 'thread'"]),
        ({"mask_size": "huge"}, ["mask_size", "WIDTHxHEIGHT"]),
        ({"input_size": [96]}, ["input_size"]),
        ({"input_size": [96, 0]}, ["input_size"]),
        ({"input_size": [-5, 7]}, ["input_size"]),
        ({"overlay_legend": "yes"}, ["overlay_legend"]),
        ({"image_topics": ["other"]}, ["image_topics", "unconfigured"]),
        ({"transport": "compressed"}, ["transport", "unconfigured"]),
        ({"device": "cpu"}, ["device", "unconfigured"]),
        ({"autostart": False}, ["autostart"]),
        # As a whole: one that is wrong takes those that are right with it.
        ({"overlay_alpha": 0.1, "key_interval": -1}, ["key_interval"]),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(graph, change, changes, words):
    node = graph.node()
    before = node.parameters.configuration
    result = change(**changes)
    assert not result.successful
    for word in words:
        assert word in result.reason
    assert node.parameters.configuration == before
    assert node.get_parameter("overlay_alpha").value == 0.5


def test_whole_numbers_do_for_numbers(graph, change):
    node = graph.node()
    assert change(max_age_ms=500).successful
    assert node.parameters.configuration.stream.max_age_ms == 500.0


def test_one_by_one_each_change_has_its_own_answer(graph):
    graph.node()
    request = SetParameters.Request(parameters=values(overlay_alpha=0.25, key_interval=-3))
    results = graph.probe.call(SetParameters, "dcfm/set_parameters", request).results
    assert [result.successful for result in results] == [True, False]


def test_what_is_fixed_while_configured_may_change_after_cleanup(graph, change):
    node = graph.node()

    def transition(number):
        request = ChangeState.Request(transition=Transition(id=number))
        assert graph.probe.call(ChangeState, "dcfm/change_state", request).success

    transition(Transition.TRANSITION_DEACTIVATE)
    assert "unconfigured" in change(image_topics=["other"]).reason
    transition(Transition.TRANSITION_CLEANUP)
    assert change(image_topics=["other"]).successful
    transition(Transition.TRANSITION_CONFIGURE)
    transition(Transition.TRANSITION_ACTIVATE)
    camera, masks = graph.probe.camera("other"), graph.probe.listen(Image, "segmentation/mask")
    graph.probe.matched(camera)
    graph.ready(node, masks)
    camera.publish(image(picture()))
    masks.wait()


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"key_intervall": 5}, ["key_intervall", "known"]),
        ({"image_topics": [""]}, ["image_topics"]),
        ({"qos_overrides./image.subscription.depth": 5}, ["qos_overrides"]),
        ({"max_age_ms": "long"}, ["max_age_ms", "number"]),
    ],
)
def test_start_values_that_make_no_sense_are_refused(graph, parameters, words):
    with pytest.raises(DcfmError) as refused:
        graph.node(**parameters)
    for word in words:
        assert word in str(refused.value)


def test_every_parameter_that_may_change_at_any_time_does(graph, change):
    """Each to its own present value: accepted for all, whatever their type."""
    node = graph.node()
    for parameter in table():
        if parameter.when == ANY_TIME:
            assert change(**{parameter.name: node.get_parameter(parameter.name).value}).successful
            assert node.get_parameter(parameter.name).type_.value != ParameterType.PARAMETER_NOT_SET
