"""Lifecycle transitions, from outside as `ros2 lifecycle` makes them, and the two services."""

import gc
import weakref

import pytest
from dcfm_ros.msg import FrameTiming
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.parameter import Parameter
from ros_graph import TIMINGS, image, picture, stamp_of
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger as TriggerService

from dcfm_ros.node import node as node_module

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


@pytest.fixture
def change(graph):
    """Asks for a transition; (whether it succeeded, the state after it)."""

    def call(number):
        request = ChangeState.Request(transition=Transition(id=number))
        success = graph.probe.call(ChangeState, "dcfm/change_state", request).success
        answer = graph.probe.call(GetState, "dcfm/get_state", GetState.Request())
        return success, answer.current_state.label

    return call


def topics(graph):
    """The topics below the graph's namespace that a DCFM node publishes or subscribes to."""
    probe = graph.probe
    names = [name for name, _ in probe.get_topic_names_and_types() if name.startswith(graph.namespace)]
    return {
        name.removeprefix(graph.namespace)
        for name in names
        if any(info.node_name == "dcfm" for info in probe.get_publishers_info_by_topic(name))
        and "segmentation" in name
    }


def test_the_whole_life(graph, change, request):
    node = graph.node(autostart=False)
    probe = graph.probe
    camera, masks = probe.camera(), probe.listen(Image, "segmentation/mask")
    assert topics(graph) == set()
    assert change(CONFIGURE) == (True, "inactive")
    probe.until(lambda: "/segmentation/mask" in topics(graph), "the topics")
    assert camera.get_subscription_count() == 0, "an inactive node does not receive images"
    for round_ in range(2):
        assert change(ACTIVATE) == (True, "active")
        probe.matched(camera)
        graph.ready(node, masks)
        camera.publish(image(picture(), stamp_of(round_)))
        masks.wait(round_ + 1)
        assert change(DEACTIVATE) == (True, "inactive")
        probe.until(lambda: camera.get_subscription_count() == 0, "the subscription to end")
    status = probe.status("processing", lambda s: s.message == "inactive", "inactive")
    assert status.level == b"\x00"
    engine = weakref.ref(node._engine)
    gc.disable()
    request.addfinalizer(gc.enable)
    assert change(CLEANUP) == (True, "unconfigured")
    probe.until(lambda: topics(graph) == set(), "the topics to go")
    probe.until(lambda: engine() is None, "the engine to go, whose place the next one takes")
    assert change(CONFIGURE) == (True, "inactive")
    assert change(ACTIVATE) == (True, "active")
    probe.matched(camera)
    graph.ready(node, masks)
    camera.publish(image(picture(), stamp_of(5)))
    masks.wait(3)
    assert masks.stamps == [stamp_of(0), stamp_of(1), stamp_of(5)]
    assert change(Transition.TRANSITION_ACTIVE_SHUTDOWN) == (True, "finalized")
    probe.until(lambda: topics(graph) == set(), "the topics to go")


@pytest.mark.parametrize("first", [[], [CONFIGURE], [CONFIGURE, ACTIVATE]])
def test_it_shuts_down_from_every_state(graph, change, first):
    graph.node(autostart=False)
    for transition in first:
        assert change(transition)[0]
    shutdown = [
        Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
        Transition.TRANSITION_INACTIVE_SHUTDOWN,
        Transition.TRANSITION_ACTIVE_SHUTDOWN,
    ][len(first)]
    assert change(shutdown) == (True, "finalized")


def test_broken_weights_leave_it_unconfigured_and_it_can_be_put_right(graph, change, weights, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"nothing of the kind")
    graph.node(autostart=False, weights=str(path))
    assert change(CONFIGURE) == (False, "unconfigured")
    path.write_bytes(weights.read_bytes())
    assert change(CONFIGURE) == (True, "inactive")
    assert change(ACTIVATE) == (True, "active")


def test_a_configuration_that_fails_half_way_leaves_no_topics(graph, change):
    node = graph.node(autostart=False, image_topics=["/a/image", "/b bad/image"])
    before = set(node.publishers)
    assert change(CONFIGURE) == (False, "unconfigured")
    assert set(node.publishers) == before
    node.set_parameters([Parameter("image_topics", value=["/a/image", "/b/image"])])
    assert change(CONFIGURE) == (True, "inactive")
    names = [publisher.topic_name for publisher in node.publishers]
    assert len(names) == len(set(names)), "one publisher per topic"


def test_outputs_that_fail_half_way_leave_no_topics(graph, change, monkeypatch):
    """rclpy refuses a topic after others of the same camera are there."""
    node = graph.node(autostart=False)
    before, create = set(node.publishers), node.create_publisher

    def refuse_timing(kind, *arguments):
        if kind is FrameTiming:
            raise RuntimeError("no more publishers")
        return create(kind, *arguments)

    monkeypatch.setattr(node, "create_publisher", refuse_timing)
    assert change(CONFIGURE) == (False, "unconfigured")
    assert set(node.publishers) == before


def test_an_unforeseen_error_is_logged_and_leaves_it_unconfigured(graph, change, monkeypatch, capfd):
    def fail(*_):
        raise RuntimeError("the driver\nis gone")

    with monkeypatch.context() as patch:
        patch.setattr(node_module, "warm_engine", fail)
        graph.node(autostart=False)
        assert change(CONFIGURE) == (False, "unconfigured")
    assert "cannot configure: RuntimeError: the driver is gone" in capfd.readouterr().err
    assert change(CONFIGURE) == (True, "inactive")


def test_silence_while_inactive_is_not_held_against_the_camera(graph, change):
    camera, masks = graph.segmenting(input_timeout_s=1.0)
    probe = graph.probe
    camera.publish(image(picture(), stamp_of(0)))
    masks.wait(1)
    assert change(DEACTIVATE)[0]
    # A status every 0.1 s: longer than the camera may be silent while it is judged.
    probe.until(lambda: messages(probe, "input").count("inactive") > 12, "a while of inactivity")
    assert change(ACTIVATE)[0]
    probe.until(lambda: messages(probe, "input")[-1] != "inactive", "the camera to be judged again")
    again = messages(probe, "input")
    assert again[len(again) - again[::-1].index("inactive")] == "0.0 images/s"


def test_a_managed_node_holds_a_bond_while_it_is_active(graph, change):
    Status = pytest.importorskip("bond.msg", reason="needs the package bond").Status
    graph.node(autostart=False)
    bond = graph.probe.listen(Status, "bond")
    assert change(CONFIGURE)[0]
    for _ in range(2):
        before = len(bond.messages)
        assert change(ACTIVATE)[0]
        bond.wait(before + 3)
        assert all(status.active for status in bond.messages[before:]) and change(DEACTIVATE)[0]
        graph.probe.until(lambda: not bond.messages[-1].active, "the end of the bond")
    assert {status.id for status in bond.messages} == {"dcfm"}
    assert len({status.instance_id for status in bond.messages}) == 2, "one for each time it is active"


def messages(probe, name):
    """What the statuses of this name have said so far."""
    return [status.message for status in list(probe.history) if status.name.endswith(name)]


def enable(graph, value):
    return graph.probe.call(SetBool, "dcfm/enable", SetBool.Request(data=value))


def test_enable_pauses_and_goes_on(graph):
    camera, masks = graph.segmenting()
    probe = graph.probe
    camera.publish(image(picture(), stamp_of(0)))
    masks.wait(1)
    answer = enable(graph, False)
    assert (answer.success, answer.message) == (True, "paused")
    probe.until(lambda: camera.get_subscription_count() == 0, "the subscription to end")
    assert probe.status("input", lambda s: "paused" in s.message, "paused").level == b"\x00"
    camera.publish(image(picture(), stamp_of(1)))
    answer = enable(graph, True)
    assert (answer.success, answer.message) == (True, "segmenting")
    probe.matched(camera)
    # The same stamp as before the pause: it may have been the last frame of a still camera.
    camera.publish(image(picture(), stamp_of(0)))
    masks.wait(2)
    assert masks.stamps == [stamp_of(0), stamp_of(0)]


def test_a_pause_outlives_deactivation(graph, change):
    camera, masks = graph.segmenting()
    enable(graph, False)
    assert change(DEACTIVATE)[0] and change(ACTIVATE)[0]
    graph.probe.until(lambda: camera.get_subscription_count() == 0, "the subscription to end")
    assert enable(graph, True).message == "segmenting"
    graph.probe.matched(camera)
    camera.publish(image(picture(), stamp_of(1)))
    masks.wait(1)


def test_refresh_forces_a_key_frame(graph):
    probe = graph.probe
    camera, timings = graph.segmenting(TIMINGS, key_period_ms=0.0, motion_threshold=0.0)
    for i in range(5):
        if i == 3:
            assert probe.call(TriggerService, "dcfm/refresh", TriggerService.Request()).success
        camera.publish(image(picture(), stamp_of(i)))
        timings.wait(i + 1)
    assert [t.trigger for t in timings.messages] == ["first", "", "", "service", ""]
    assert [t.key_frame for t in timings.messages] == [True, False, False, True, False]


def test_refresh_says_so_when_there_is_nothing_to_refresh(graph, change):
    graph.node()
    assert change(DEACTIVATE)[0]
    answer = graph.probe.call(TriggerService, "dcfm/refresh", TriggerService.Request())
    assert not answer.success and "not segmenting" in answer.message
