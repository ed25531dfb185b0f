"""Each row of the contract: type, encoding, QoS, header, size and content of what the node publishes."""

import cv2
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from ros_graph import (
    MASKS,
    START_NS,
    TIMINGS,
    camera_info,
    image,
    picture,
    pixels_of,
    qos,
    stamp_ns,
    stamp_of,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.classes import CAMVID
from dcfm_ros.model.groups import grouped
from dcfm_ros.node import publish
from dcfm_ros.node.camera_info import CameraInfos
from dcfm_ros.stamps import to_ns
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.overlay import draw_overlay
from dcfm_ros.stream.segmenter import StreamSegmenter

FRAME_ID = "front_left_camera_optical_frame"


def offline(weights, frames, confidence=False, **config):
    """The segmentations that the same frames get without ROS."""
    with StreamSegmenter(load_model(weights), StreamConfig(mode="inline", **config)) as stream:
        return [stream.step(rgb, stamp_of(i), confidence=confidence) for i, rgb in enumerate(frames)]


def test_mask_is_mono8_without_padding_and_has_the_inputs_header(graph, weights):
    camera, masks = graph.segmenting()
    frames = [picture(i) for i in range(4)]
    for i, rgb in enumerate(frames):
        camera.publish(image(rgb, stamp_of(i), frame_id=FRAME_ID))
        masks.wait(i + 1)
    expected = offline(weights, frames)
    assert len(np.unique(expected[0].mask)) > 2, "a mask of one class proves nothing"
    for i, message in enumerate(masks.messages):
        assert (message.encoding, message.width, message.height, message.step) == ("mono8", 160, 96, 160)
        assert message.header == image(frames[i], stamp_of(i), frame_id=FRAME_ID).header
        assert not message.is_bigendian
        np.testing.assert_array_equal(pixels_of(message), expected[i].mask)


def test_every_publisher_is_reliable_and_keeps_what_the_contract_says(graph):
    graph.node()
    wanted = {
        "segmentation/mask": "sensor_msgs/msg/Image",
        "segmentation/confidence": "sensor_msgs/msg/Image",
        "segmentation/overlay": "sensor_msgs/msg/Image",
        "segmentation/mask/compressed": "sensor_msgs/msg/CompressedImage",
        "segmentation/camera_info": "sensor_msgs/msg/CameraInfo",
        "dcfm/timing": "dcfm_ros/msg/FrameTiming",
    }
    probe = graph.probe
    for name, kind in wanted.items():
        topic = f"{graph.namespace}/{name}"
        probe.until(lambda topic=topic: probe.count_publishers(topic) == 1, f"a publisher of {topic}")
        info = probe.get_publishers_info_by_topic(topic)[0]
        assert info.topic_type == kind
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE, topic
        assert info.qos_profile.durability == DurabilityPolicy.VOLATILE, topic
    topic = f"{graph.namespace}/image"
    probe.until(lambda: probe.count_subscribers(topic) == 1, f"a subscriber of {topic}")
    (info,) = probe.get_subscriptions_info_by_topic(topic)
    assert info.topic_type == "sensor_msgs/msg/Image"
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_confidence_has_the_masks_size_and_header(graph, weights):
    camera, confidence = graph.segmenting((Image, "segmentation/confidence"))
    camera.publish(image(picture(), stamp_of(0), frame_id=FRAME_ID))
    (message,) = confidence.wait()
    assert (message.encoding, message.width, message.height, message.step) == ("mono8", 160, 96, 160)
    assert message.header == image(picture(), stamp_of(0), frame_id=FRAME_ID).header
    (expected,) = offline(weights, [picture()], confidence=True)
    np.testing.assert_allclose(pixels_of(message), expected.confidence, atol=1)
    assert np.ptp(expected.confidence) > 10


def test_overlay_is_rgb8_and_is_the_tinted_picture_with_the_legend(graph, weights):
    camera, overlays = graph.segmenting((Image, "segmentation/overlay"), overlay_alpha=0.7)
    camera.publish(image(picture(), stamp_of(0), frame_id=FRAME_ID))
    (message,) = overlays.wait()
    assert (message.encoding, message.width, message.height, message.step) == ("rgb8", 160, 96, 480)
    assert message.header == image(picture(), stamp_of(0), frame_id=FRAME_ID).header
    (expected,) = offline(weights, [picture()])
    card = load_model(weights).card
    np.testing.assert_array_equal(pixels_of(message), draw_overlay(picture(), expected.mask, card, 0.7, True))


def test_compressed_mask_is_a_png_of_the_mask(graph):
    camera, masks, compressed = graph.segmenting(MASKS, (CompressedImage, "segmentation/mask/compressed"))
    camera.publish(image(picture(), stamp_of(0), frame_id=FRAME_ID))
    (mask,), (png,) = masks.wait(), compressed.wait()
    assert png.header == mask.header
    assert "png" in png.format
    assert png.data[:4].tobytes() == b"\x89PNG"
    unpacked = cv2.imdecode(np.frombuffer(png.data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(unpacked, pixels_of(mask))


def test_selection_is_255_where_a_selected_class_is(graph, weights):
    seen = np.bincount(offline(weights, [picture()])[0].mask.ravel()).argsort()[
        -3:-1
    ]  # common ones, not the commonest
    outputs = MASKS, (Image, "segmentation/selection")
    names = ", ".join(CAMVID.names[index] for index in seen)
    camera, masks, selections = graph.segmenting(*outputs, selection=names)
    camera.publish(image(picture(), stamp_of(0), frame_id=FRAME_ID))
    (mask,), (selection,) = masks.wait(), selections.wait()
    assert (selection.header, selection.encoding) == (mask.header, "mono8")
    wanted = np.isin(pixels_of(mask), seen)
    assert 0 < wanted.sum() < wanted.size, "all or nothing proves nothing"
    np.testing.assert_array_equal(pixels_of(selection), np.where(wanted, 255, 0))


def test_without_a_selection_there_is_no_topic_for_it(graph):
    topics = {publisher.topic_name for publisher in graph.node().publishers}
    assert not any(topic.endswith("/selection") for topic in topics)


def test_a_selection_of_what_the_model_does_not_know_is_refused(graph, capfd):
    graph.node(selection="road, lawn")
    told = capfd.readouterr().err
    assert "cannot configure: selection names 'lawn'; the classes are sky, building," in told


GROUPS = """
drivable: [road, pavement]
person: [pedestrian, bicyclist]
sky: {classes: [sky], drop: true}
"""


def test_groups_take_the_classes_place_in_everything(graph, weights, tmp_path):
    (tmp_path / "groups.yaml").write_text(GROUPS)
    outputs = MASKS, (Image, "segmentation/selection"), (Image, "segmentation/overlay")
    given = {"classes_file": str(tmp_path / "groups.yaml"), "selection": "drivable"}
    camera, masks, selections, overlays = graph.segmenting(*outputs, **given)
    camera.publish(image(picture(), stamp_of(0)))
    (mask,), (selection,), (overlay,) = masks.wait(), selections.wait(), overlays.wait()
    with StreamSegmenter(grouped(load_model(weights), tmp_path / "groups.yaml")) as stream:
        wanted = stream.step(picture(), stamp_of(0)).mask
        card = stream.engine.card
    assert card.classes[:2] == ("drivable", "person") and len(card.classes) == 8
    np.testing.assert_array_equal(pixels_of(mask), wanted)
    np.testing.assert_array_equal(pixels_of(selection), np.where(wanted == 0, 255, 0))
    np.testing.assert_array_equal(pixels_of(overlay), draw_overlay(picture(), wanted, card, 0.5, True))


@pytest.mark.parametrize(
    "mask_size, size", [("input", (160, 96)), ("network", (96, 64)), ("80x24", (80, 24))]
)
def test_camera_info_is_scaled_to_the_mask(graph, mask_size, size):
    node = graph.node(mask_size=mask_size)
    probe = graph.probe
    camera, infos_in = probe.camera(), probe.create_publisher(CameraInfo, "camera_info", qos())
    masks = probe.listen(Image, "segmentation/mask")
    infos = probe.listen(CameraInfo, "segmentation/camera_info")
    probe.matched(camera, infos_in)
    graph.ready(node, masks, infos)
    infos_in.publish(camera_info((160, 96)))
    # Images and camera_info are two topics: frames are sent until one has been published with it.
    for i in range(1000):
        camera.publish(image(picture(), stamp_of(i), frame_id=FRAME_ID))
        mask = masks.wait_for(stamp_of(i))
        if infos.messages:
            break
    info = infos.messages[0]
    mask = masks.wait_for(infos.stamps[0])
    assert (mask.width, mask.height) == size
    assert info.header == mask.header
    assert (info.width, info.height) == size
    x, y = size[0] / 160, size[1] / 96
    np.testing.assert_allclose(info.k, [160 * x, 0, 80 * x, 0, 96 * y, 48 * y, 0, 0, 1])
    np.testing.assert_allclose(info.p, [160 * x, 0, 80 * x, 7 * x, 0, 96 * y, 48 * y, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(info.d, [0.1, -0.2, 0, 0, 0])


def test_camera_info_is_that_of_the_image():
    """Of several cameras on a topic, of several stamps, and none where the camera has none."""
    infos = CameraInfos()

    def found(frame_id, stamp, size=(160, 96)):
        info = infos.of(image(picture(), stamp, frame_id=frame_id).header, size)
        return info and (info.header.frame_id, stamp_ns(info.header))

    assert found("left", stamp_of(0)) is None
    infos.add(camera_info((160, 96), stamp_of(0), "camera"))
    assert found("left", stamp_of(0)) == ("camera", stamp_of(0)), "its only name there"
    for stamp in (stamp_of(1), stamp_of(2)):
        for side in ("left", "right"):
            infos.add(camera_info((160, 96), stamp, side))
    assert found("left", stamp_of(1)) == ("left", stamp_of(1))
    assert found("right", stamp_of(7)) == ("right", stamp_of(2))
    assert found("new", stamp_of(2)) is None, "another camera"
    assert found("left", stamp_of(2), (80, 48)) is None, "another size"
    for i in range(100):
        infos.add(camera_info((160, 96), stamp_of(i), f"{i}"))
    assert found("left", stamp_of(1)) is None, "forgotten"


def test_a_replaced_camera_does_not_keep_the_former_ones_camera_info():
    infos = CameraInfos()
    infos.add(camera_info((160, 96), stamp_of(0), "old"))
    for frame_id, expected in (("old", True), ("new", False)):
        assert bool(infos.of(image(picture(), stamp_of(1), frame_id=frame_id).header, (160, 96))) is expected


def test_no_camera_info_goes_out_where_none_came_in(graph):
    camera, infos, masks = graph.segmenting((CameraInfo, "segmentation/camera_info"), MASKS)
    camera.publish(image(picture(), stamp_of(0)))
    masks.wait()
    assert infos.messages == []


def test_timing_tells_what_happened_to_the_frame(graph):
    camera, timings = graph.segmenting(TIMINGS, key_interval=3, key_period_ms=0.0, motion_threshold=0.0)
    for i in range(5):
        camera.publish(image(picture(i), stamp_of(i), frame_id=FRAME_ID))
        timings.wait(i + 1)
    got = timings.messages
    assert [t.header.frame_id for t in got] == [FRAME_ID] * 5
    assert timings.stamps == [stamp_of(i) for i in range(5)]
    assert [t.key_frame for t in got] == [True, False, False, True, False]
    assert [t.trigger for t in got] == ["first", "", "", "interval", ""]
    assert [t.age_frames for t in got] == [0, 1, 2, 0, 1]
    np.testing.assert_allclose([t.age_ms for t in got], [0, 66.667, 133.333, 0, 66.667], atol=0.01)
    assert [to_ns(t.key_stamp) for t in got] == [stamp_of(i) for i in (0, 0, 0, 3, 3)]
    assert not any(t.stale for t in got)
    assert [np.isnan(t.agreement) for t in got] == [True, True, True, False, True]
    assert 0 <= got[3].agreement <= 1
    assert all(np.isnan(t.motion) for t in got)
    assert [t.received for t in got] == [t.processed for t in got] == [1, 2, 3, 4, 5]
    assert [(t.dropped, t.failed, t.lost) for t in got] == [(0, 0, 0)] * 5
    for t in got:
        parts = t.convert_ms + t.preprocess_ms + t.independent_ms + t.fuse_ms + t.label_map_ms + t.publish_ms
        assert 0 < parts <= t.total_ms
        assert t.common_ms > 0
        assert np.isnan(t.latency_ms), "these stamps are of another clock: years ago"


def test_latency_is_measured_from_the_stamp(graph):
    camera, timings = graph.segmenting(TIMINGS)
    camera.publish(image(picture(), graph.probe.get_clock().now().nanoseconds - 5_000_000))
    (timing,) = timings.wait()
    assert timing.total_ms + 5 <= timing.latency_ms < 60_000


def test_compressed_transport_reads_jpeg_and_png(graph, weights):
    node = graph.node(transport="compressed")
    probe = graph.probe
    camera = probe.camera("image/compressed", CompressedImage)
    masks = probe.listen(Image, "segmentation/mask")
    probe.matched(camera)
    graph.ready(node, masks)
    for i, suffix in enumerate((".png", ".jpg")):
        message = CompressedImage(format=suffix[1:])
        message.header = image(picture(), stamp_of(i), frame_id=FRAME_ID).header
        message.data.frombytes(cv2.imencode(suffix, picture(i)[..., ::-1])[1].tobytes())
        camera.publish(message)
        mask = masks.wait(i + 1)[i]
        assert mask.header == message.header
    expected = offline(weights, [picture()])[0].mask
    np.testing.assert_array_equal(pixels_of(masks.messages[0]), expected)


def test_camera_info_is_expected_beside_the_image(graph):
    graph.node(image_topics=["/front/image_raw"])
    infos = graph.probe.create_publisher(CameraInfo, "/front/camera_info", qos())
    graph.probe.matched(infos)


def test_topics_can_be_remapped(graph):
    node = graph.node(remap=["image:=/robot/eye", "segmentation/mask:=/robot/labels"])
    camera, masks = graph.probe.camera("/robot/eye"), graph.probe.listen(Image, "/robot/labels")
    graph.probe.matched(camera)
    graph.ready(node, masks)
    camera.publish(image(picture()))
    assert masks.wait()[0].header.stamp.sec == START_NS // 10**9


@pytest.mark.parametrize(
    ("rules", "topic"),
    [
        (["segmentation/mask:=/robot/labels"], "/robot/labels/compressed"),
        (
            ["segmentation/mask:=/robot/labels", "segmentation/mask/compressed:=/robot/png"],
            "/robot/png",
        ),
    ],
)
def test_the_compressed_mask_moves_with_the_mask_unless_it_is_remapped_itself(graph, rules, topic):
    node = graph.node(remap=rules)
    assert topic in {publisher.topic_name for publisher in node.publishers}


def test_label_info_reaches_whoever_comes_later(graph):
    """Latched: the subscriber here comes after the message. Needs vision_msgs, which not every ROS installation has."""
    vision_msgs = pytest.importorskip("vision_msgs.msg")
    graph.node()
    latched = qos(depth=1, durability="transient_local")
    infos = graph.probe.listen(vision_msgs.LabelInfo, "segmentation/label_info", latched)
    (info,) = infos.wait()
    names = [(entry.class_id, entry.class_name) for entry in info.class_map]
    assert names[:2] == [(0, "sky"), (1, "building")] and len(names) == 11
    (published,) = graph.probe.get_publishers_info_by_topic(infos.topic)
    assert published.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert published.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_without_vision_msgs_everything_but_label_info_works(graph, monkeypatch):
    monkeypatch.setattr(publish, "LabelInfo", None)
    camera, masks = graph.segmenting()
    camera.publish(image(picture()))
    masks.wait()
    assert graph.probe.count_publishers("segmentation/label_info") == 0
