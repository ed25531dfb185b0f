"""Nothing is computed that nobody subscribes to."""

from collections import Counter

import pytest
from dcfm_ros.msg import FrameTiming
from ros_graph import camera_info, image, picture, qos, stamp_of
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.node import frame_worker, publish
from dcfm_ros.node import node as node_module


@pytest.fixture
def work(monkeypatch):
    """Counts the costly things that the node does."""
    counts = Counter()

    def counted(name, function):
        def call(*args, **options):
            counts[name] += 1
            counts["confidence"] += bool(options.get("confidence")) and name == "label_map"
            return function(*args, **options)

        return call

    create = node_module.warm_engine

    def counting_engine(*args):
        engine = create(*args)
        for name in ("independent", "common", "label_map"):
            setattr(engine, name, counted(name, getattr(engine, name)))
        return engine

    monkeypatch.setattr(node_module, "warm_engine", counting_engine)
    for module, name in (
        (publish, "draw_overlay"),
        (publish, "png_message"),
        (publish, "scaled_camera_info"),
        (frame_worker, "timing_fields"),
    ):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return counts


OUTPUTS = {
    "segmentation/mask": (Image, set()),
    "segmentation/confidence": (Image, {"confidence"}),
    "segmentation/overlay": (Image, {"draw_overlay"}),
    "segmentation/mask/compressed": (CompressedImage, {"png_message"}),
    "segmentation/camera_info": (CameraInfo, {"scaled_camera_info"}),
    "dcfm/timing": (FrameTiming, {"timing_fields"}),
}
NETWORK = {"independent", "common", "label_map"}


def unwanted(number):
    """Whether a status speaks of so many frames that came while nobody subscribed."""
    return lambda status: (
        ("while nobody subscribed", str(number)) in [(e.key, e.value) for e in status.values]
    )


@pytest.mark.parametrize("topic", OUTPUTS)
def test_each_output_costs_only_its_own_work(graph, work, topic):
    node = graph.node(key_period_ms=0.0, motion_threshold=0.0, agreement=False)
    probe = graph.probe
    camera, infos = probe.camera(), probe.create_publisher(CameraInfo, "camera_info", qos())
    kind, own = OUTPUTS[topic]
    listener = probe.listen(kind, topic)
    probe.matched(camera, infos)
    graph.ready(node, listener)
    infos.publish(camera_info((160, 96)))
    for i in range(1000):  # until a camera_info has come in
        camera.publish(image(picture(i), stamp_of(i)))
        with probe.changed:
            if probe.changed.wait_for(lambda: listener.messages, 0.5):
                break
    assert listener.messages
    assert {name for name, number in work.items() if number} - NETWORK == own


def test_without_subscribers_the_network_does_not_run(graph, work):
    node = graph.node(input_reliability="reliable", input_depth=100)
    probe = graph.probe
    camera = probe.camera()
    probe.matched(camera)
    for i in range(10):
        camera.publish(image(picture(i), stamp_of(i)))

    probe.status("processing", unwanted(10), "about 10 frames without subscribers")
    probe.status("processing", lambda s: "nobody subscribes" in s.message, "about subscribers")
    assert not +work
    # From the first subscriber on it does, and a later silence stops it again.
    masks = probe.listen(Image, "segmentation/mask")
    graph.ready(node, masks)
    camera.publish(image(picture(10), stamp_of(10)))
    masks.wait(1)
    assert work["independent"] == work["common"] == work["label_map"] == 1
    masks.leave(node)
    camera.publish(image(picture(11), stamp_of(11)))
    probe.status("processing", unwanted(11), "about 11 frames without subscribers")
    assert work["independent"] == 1


def test_whoever_comes_back_gets_no_mask_from_an_old_common_feature(graph):
    node = graph.node(key_period_ms=0.0, motion_threshold=0.0, input_reliability="reliable", input_depth=100)
    probe = graph.probe
    camera, masks = probe.camera(), probe.listen(Image, "segmentation/mask")
    probe.matched(camera)
    graph.ready(node, masks)
    camera.publish(image(picture(0), stamp_of(0)))
    masks.wait(1)
    masks.leave(node)
    camera.publish(image(picture(1), stamp_of(1)))
    probe.status("processing", unwanted(1), "about one frame without subscribers")
    timings = probe.listen(FrameTiming, "dcfm/timing")
    graph.ready(node, timings)
    camera.publish(image(picture(2), stamp_of(2)))
    (timing,) = timings.wait(1)
    assert timing.key_frame and timing.trigger == "reset"
    assert timing.received == 3 and timing.processed == 2
