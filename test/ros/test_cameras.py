"""Several cameras on one node: a stream each, one model, key frames that take turns."""

import threading

import pytest
from dcfm_ros.msg import FrameTiming
from rclpy.node import Node
from ros_graph import camera_info, image, picture, qos, stamp_of
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.node import node as node_module
from dcfm_ros.node.topics import camera_topics

SIDES = ("front", "rear")


def test_two_cameras_share_the_model_and_take_turns(graph, monkeypatch):
    engines = []
    create = node_module.warm_engine
    monkeypatch.setattr(
        node_module, "warm_engine", lambda *args: engines.append(create(*args)) or engines[-1]
    )
    topics = [f"{graph.namespace}/{side}/image_raw" for side in SIDES]
    node = graph.node(image_topics=topics, key_interval=4, key_period_ms=0.0, motion_threshold=0.0)
    probe = graph.probe
    cameras = [probe.camera(topic) for topic in topics]
    masks = [probe.listen(Image, f"{side}/segmentation/mask") for side in SIDES]
    space = graph.namespace.strip("/")
    timings = [probe.listen(FrameTiming, f"dcfm/{space}/{side}/timing") for side in SIDES]
    probe.matched(*cameras)
    graph.ready(node, *masks, *timings)
    for i in range(12):
        for side, camera in enumerate(cameras):
            camera.publish(image(picture(i + 50 * side), stamp_of(i), frame_id=SIDES[side]))
        for side in range(2):
            timings[side].wait(i + 1)
            masks[side].wait(i + 1)
    for side in range(2):
        assert [m.header.frame_id for m in masks[side].messages] == [SIDES[side]] * 12
        assert masks[side].stamps == [stamp_of(i) for i in range(12)]
    keys = [[i for i, t in enumerate(timing.messages) if t.key_frame] for timing in timings]
    assert keys == [[0, 4, 8], [0, 2, 6, 10]], "after the first frame no two key frames fall together"
    assert len(engines) == 1
    for side in SIDES:
        for name in ("input", "processing", "common feature"):
            probe.status(f"{side} {name}")


def test_a_camera_in_trouble_does_not_hold_up_the_other(graph):
    topics = [f"{graph.namespace}/{side}/image_raw" for side in SIDES]
    node = graph.node(image_topics=topics)
    probe = graph.probe
    bad, good = (probe.camera(topic) for topic in topics)
    masks = probe.listen(Image, "rear/segmentation/mask")
    probe.matched(bad, good)
    graph.ready(node, masks)
    for i in range(5):
        broken = image(picture(), stamp_of(i))
        broken.encoding = "rgb565"
        bad.publish(broken)
        good.publish(image(picture(i), stamp_of(i)))
        masks.wait(i + 1)
    probe.status("front input", lambda s: "rgb565" in s.message, "about the bad frames")
    assert probe.status("rear input").level == b"\x00"


def test_a_slow_network_drops_old_frames_not_new_ones(graph, monkeypatch):
    gate = threading.Event()
    create = node_module.warm_engine

    def slow(*args):
        engine = create(*args)
        label_map = engine.label_map

        def wait_first(*arguments, **options):
            assert gate.wait(60)
            return label_map(*arguments, **options)

        engine.label_map = wait_first
        return engine

    monkeypatch.setattr(node_module, "warm_engine", slow)
    node = graph.node(input_reliability="reliable")
    probe = graph.probe
    camera, timings = probe.camera(), probe.listen(FrameTiming, "dcfm/timing")
    probe.matched(camera)
    graph.ready(node, timings)

    def value(key, number):
        return lambda status: {entry.key: entry.value for entry in status.values}[key] == str(number)

    for i in range(6):
        camera.publish(image(picture(i), stamp_of(i)))
        # With room for one frame in the middleware, each has to be taken before the next is sent.
        probe.status("input", value("received", i + 1), f"{i + 1} received")
    gate.set()
    timings.wait_for(stamp_of(5))
    assert timings.stamps == [stamp_of(0), stamp_of(5)], "the one in work, and the newest"
    assert timings.messages[-1].dropped == 4
    probe.status("processing", value("dropped for newer ones", 4), "of 4 dropped frames")


@pytest.mark.parametrize(
    "topics, bases, infos, timings",
    [
        (["image"], [""], ["camera_info"], ["~/timing"]),
        (["/front/image_raw"], [""], ["/front/camera_info"], ["~/timing"]),
        (
            ["/front/image_raw", "/rear/image_raw"],
            ["/front/", "/rear/"],
            ["/front/camera_info", "/rear/camera_info"],
            ["~/front/timing", "~/rear/timing"],
        ),
        (
            ["/left_image", "/right_image"],
            ["/left_image/", "/right_image/"],
            ["/left_image/camera_info", "/right_image/camera_info"],
            ["~/left_image/timing", "~/right_image/timing"],
        ),
        (
            ["cam/left", "cam/right", "rear/image"],
            ["cam/left/", "cam/right/", "rear/"],
            ["cam/left/camera_info", "cam/right/camera_info", "rear/camera_info"],
            ["~/cam/left/timing", "~/cam/right/timing", "~/rear/timing"],
        ),
        (
            ["~/left/image", "~/right/image"],
            ["~/left/", "~/right/"],
            ["~/left/camera_info", "~/right/camera_info"],
            ["~/left/timing", "~/right/timing"],
        ),
    ],
)
def test_names(topics, bases, infos, timings):
    names = camera_topics(topics)
    assert [name.base for name in names] == bases
    assert [name.camera_info for name in names] == infos
    assert [name.timing for name in names] == timings
    assert names[0].output("mask") == f"{bases[0]}segmentation/mask"


def test_two_cameras_with_private_names_work(graph):
    node = graph.node(image_topics=["~/left/image", "~/right/image"])
    camera, masks = (
        graph.probe.camera("dcfm/left/image"),
        graph.probe.listen(Image, "dcfm/left/segmentation/mask"),
    )
    graph.probe.matched(camera)
    graph.ready(node, masks)
    camera.publish(image(picture()))
    masks.wait()
    name = f"{graph.namespace}/dcfm".lstrip("/")
    status = graph.probe.status("left input")
    assert (status.name, status.hardware_id) == (f"{name}: left input", name), "two robots, two names"


@pytest.mark.parametrize(
    "transport, kind, topic, hint",
    [
        ("raw", CompressedImage, "image", "set transport to compressed"),
        ("compressed", Image, "image/compressed", "set transport to raw"),
        ("raw", CameraInfo, "image", "must name a topic of images"),
    ],
)
def test_another_type_on_the_topic_is_named(graph, ros, transport, kind, topic, hint):
    graph.node(transport=transport)
    elsewhere = ros.Context()  # in one process DDS refuses a second type for a topic
    ros.init(args=[], context=elsewhere)
    driver = Node("driver", namespace=graph.namespace, context=elsewhere)
    driver.create_publisher(kind, topic, qos())
    try:
        check_type(graph, kind, topic, hint)
    finally:
        driver.destroy_node()
        ros.shutdown(context=elsewhere)


def check_type(graph, kind, topic, hint):
    status = graph.probe.status("input", lambda s: hint in s.message, "about the type")
    assert status.level == b"\x02"
    assert f"{graph.namespace}/{topic} is sensor_msgs/msg/{kind.__name__}" in status.message


def test_what_belongs_to_a_remapped_image_moves_along(graph):
    node = graph.node(remap=["image:=/robot/eye/image_raw"], transport="compressed")
    probe = graph.probe
    camera = probe.camera("/robot/eye/image_raw/compressed", kind=CompressedImage)
    info = probe.create_publisher(CameraInfo, "/robot/eye/camera_info", qos())
    probe.matched(camera, info)
    topic = {entry.key: entry.value for entry in probe.status("input").values}["topic"]
    assert topic == "/robot/eye/image_raw/compressed"
    assert node.count_subscribers(f"{graph.namespace}/camera_info") == 0


def test_camera_info_arrives_from_every_publisher(graph):
    """One that has latched it before the node came, and best-effort ones, with reliable images."""
    probe = graph.probe
    latched = probe.create_publisher(CameraInfo, "camera_info", qos(depth=1, durability="transient_local"))
    latched.publish(camera_info((160, 96)))
    node = graph.node(input_reliability="reliable")
    camera, infos = probe.camera(), probe.listen(CameraInfo, "segmentation/camera_info")
    best_effort = probe.create_publisher(CameraInfo, "camera_info", qos("best_effort"))
    probe.matched(camera, latched, best_effort)
    graph.ready(node, infos)
    masks = probe.listen(Image, "segmentation/mask")
    graph.ready(node, masks)
    for i in range(1000):
        camera.publish(image(picture(i), stamp_of(i)))
        masks.wait_for(stamp_of(i))
        if infos.messages:
            break
    infos.wait()
