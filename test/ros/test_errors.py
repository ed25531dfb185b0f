"""Errors of the network reach the log and the diagnostics, and the masks go on."""

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_graph import MASKS, TIMINGS, image, picture, stamp_of

from dcfm_ros.errors import DcfmError
from dcfm_ros.node import frame_worker
from dcfm_ros.node import node as node_module
from dcfm_ros.stream.segmenter import StreamSegmenter


@pytest.fixture
def engine_of(monkeypatch):
    """Has the node's engine changed by a function before it is used."""

    def change(function):
        create = node_module.warm_engine

        def made(*args):
            engine = create(*args)
            function(engine)
            return engine

        monkeypatch.setattr(node_module, "warm_engine", made)

    return change


def fail_from(call, error, *methods):
    """The methods, which from their `call`th call on, counted together, raise."""
    calls = []

    def failing(method):
        def attempt(*args, **options):
            calls.append(None)
            if len(calls) >= call:
                raise error
            return method(*args, **options)

        return attempt

    return [failing(method) for method in methods]


IDLE_S = 240.0  # in the background the common branch runs at idle priority: a busy machine lets it wait


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["inline", "background"])
def test_a_failing_common_branch_is_told_and_masks_go_on(graph, engine_of, capfd, mode):
    def spoil(engine):
        error = RuntimeError("out of\nmemory")
        engine.common, engine.common_slices = fail_from(2, error, engine.common, engine.common_slices)
        engine.background = lambda threads: engine

    engine_of(spoil)
    probe = graph.probe
    camera, masks, timings = graph.segmenting(
        MASKS, TIMINGS, mode=mode, key_interval=2, key_period_ms=0.0, motion_threshold=0.0
    )
    for i in range(8):
        camera.publish(image(picture(i), stamp_of(i)))
        masks.wait(i + 1)
        timings.wait(i + 1)
    assert masks.stamps == [stamp_of(i) for i in range(8)]
    assert [t.age_frames for t in timings.messages] == list(range(8)), "the last good one stays in use"
    assert timings.messages[-1].failed == 0
    message = "common branch: RuntimeError: out of memory"
    probe.until(
        lambda: any(message in s.message for s in probe.history),
        "the error in the diagnostics",
        seconds=IDLE_S,
    )
    told = next(s for s in probe.history if message in s.message)
    assert told.name.endswith("processing") and told.level == b"\x02"
    assert probe.status("common feature", lambda s: "out of" in s.message).level == b"\x02"
    assert "common branch failed: RuntimeError: out of memory" in capfd.readouterr().err


def test_a_frame_that_fails_is_told_and_the_next_one_is_tried(graph, engine_of, capfd):
    def spoil(engine):
        good = engine.label_map
        (engine.label_map,) = fail_from(2, RuntimeError("no luck"), good)
        engine.mend = lambda: setattr(engine, "label_map", good)
        engines.append(engine)

    engines = []
    engine_of(spoil)
    camera, masks = graph.segmenting(key_period_ms=0.0, motion_threshold=0.0)
    probe = graph.probe
    camera.publish(image(picture(0), stamp_of(0)))
    masks.wait(1)
    camera.publish(image(picture(1), stamp_of(1)))
    probe.until(lambda: any("no luck" in s.message for s in probe.history), "the error in the diagnostics")
    engines[0].mend()
    camera.publish(image(picture(2), stamp_of(2)))
    masks.wait(2)
    assert masks.stamps == [stamp_of(0), stamp_of(2)]
    assert "frame failed: RuntimeError: no luck" in capfd.readouterr().err


def test_parameters_that_the_engine_cannot_use_leave_the_stream_as_it_is(
    graph, engine_of, capfd, monkeypatch
):
    def refuse(threads):
        raise DcfmError("no room for a second graph")

    def spoil(engine):
        engine.background = refuse

    def made(*args, **options):
        makes.append(args)
        return StreamSegmenter(*args, **options)

    makes = []
    engine_of(spoil)
    monkeypatch.setattr(frame_worker, "StreamSegmenter", made)
    probe = graph.probe
    camera, masks, timings = graph.segmenting(
        MASKS, TIMINGS, mode="background", background="slices", key_period_ms=0.0, motion_threshold=0.0
    )

    def play(*numbers):
        for i in numbers:
            camera.publish(image(picture(i), stamp_of(i)))
            masks.wait(i + 1)
            timings.wait(i + 1)

    def change(**values):
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParameters.Request(parameters=parameters)
        assert probe.call(SetParameters, "dcfm/set_parameters", request).results[0].successful

    play(0, 1)
    change(background="thread")
    play(2, 3, 4)
    assert [t.age_frames for t in timings.messages] == [0, 1, 2, 3, 4], "the former stream goes on"
    assert len(makes) == 2, "what is refused is not tried at every frame"
    status = probe.status("processing", lambda s: "cannot be used" in s.message, "the refusal")
    assert status.level == b"\x01" and "no room for a second graph" in status.message
    assert capfd.readouterr().err.count("the new parameters cannot be used") == 1
    change(background="slices")
    play(5)
    assert timings.messages[-1].age_frames == 5 and len(makes) == 2, "it is what the stream has"
    probe.history.clear()
    probe.status("processing", lambda s: s.level == b"\x00", "good again")
    change(slices=3)
    play(6)
    assert timings.messages[-1].trigger == "first" and len(makes) == 3


def test_a_degraded_engine_is_a_warning(graph, engine_of, monkeypatch):
    engines = []
    engine_of(engines.append)
    graph.node()
    assert graph.probe.status("engine").level == b"\x00"
    monkeypatch.setattr(type(engines[0]), "problem", "TensorRT is gone, torch took over")
    status = graph.probe.status("engine", lambda s: "torch took over" in s.message, "degraded")
    assert status.level == b"\x01"


def test_too_slow_is_a_warning_and_after_a_while_an_error(graph):
    camera, _ = graph.segmenting(budget_ms=0.1, over_budget_s=0.3)
    probe = graph.probe
    levels = set()
    for i in range(10_000):
        camera.publish(image(picture(), stamp_of(i)))
        with probe.changed:
            probe.changed.wait(0.05)
            levels = {s.level for s in probe.history if "over the budget" in s.message}
        if b"\x02" in levels:
            break
    assert levels == {b"\x01", b"\x02"}
