"""The main job on real input: a recorded drive goes through DDS into the node's process, and every mask comes back."""

import threading
import time

import numpy as np
import pytest
from dcfm_ros.msg import FrameTiming
from processes import NodeProcess
from rclpy.serialization import deserialize_message
from ros_graph import image, pixels_of, qos, stamp_ns, stamp_of
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import Image

from dcfm_lab.datasets.camvid import CamVid
from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.media.messages import IMAGE, picture
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.shipped import default_weights
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmenter import StreamSegmenter

RATE_HZ = 15.0
FRAMES = 101
TOPIC = "/camera/image_raw"
FRAME_ID = "camvid_camera"
LATER = (
    1_000_000  # number of the first frame that only wakes the node up; the drive then is a jump back in time
)


@pytest.fixture(scope="module")
def drive(data_root):
    """(images, labels) of CamVid's val."""
    dataset = CamVid(data_root / "camvid", "val")
    frames = [dataset[i] for i in range(len(dataset))]
    assert len(frames) == FRAMES
    return [frame.image for frame in frames], [frame.label for frame in frames]


@pytest.fixture(scope="module")
def bag(drive, tmp_path_factory):
    path = tmp_path_factory.mktemp("camvid") / "val"
    with BagWriter(path) as writer:
        for i, rgb in enumerate(drive[0]):
            writer.write(TOPIC, IMAGE, stamp_of(i), picture(rgb, stamp_of(i), FRAME_ID))
    return path


@pytest.fixture
def model_path(weights):
    """The model that comes with the package; a random one where it is not there yet."""
    try:
        return default_weights()
    except DcfmError:
        return weights


def play(bag, publisher, rate_hz):
    """Publish the bag's images as they were recorded, byte by byte; the headers sent."""
    headers, tick = [], threading.Event()
    with Reader(bag) as reader:
        began = time.monotonic()
        for i, (_, _, data) in enumerate(reader.messages()):
            tick.wait(max(0.0, began + i / rate_hz - time.monotonic()))
            publisher.publish(data)
            headers.append(deserialize_message(data, Image).header)
    return headers


def wake(probe, node, camera, listeners):
    """Send frames until every listener has heard of one: then all connections stand."""
    for i in range(LATER, 2 * LATER):
        assert node.status is None, node.output
        camera.publish(image(np.zeros((96, 160, 3), np.uint8), stamp_of(i)))
        with probe.changed:
            if probe.changed.wait_for(lambda: all(listener.messages for listener in listeners), 0.1):
                return


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_frame_of_a_drive_comes_back_as_the_mask_that_offline_evaluation_makes(
    graph, drive, bag, model_path, tmp_path
):
    probe = graph.probe
    with NodeProcess(
        tmp_path / "node.log",
        namespace=graph.namespace,
        arguments=["-r", f"image:={TOPIC}"],
        weights=str(model_path),
        mode="inline",
        input_reliability="reliable",
        input_depth=2 * FRAMES,
    ) as node:
        camera = probe.camera(TOPIC, profile=qos(depth=2 * FRAMES))
        masks = probe.listen(Image, "segmentation/mask", qos(depth=2 * FRAMES))
        timings = probe.listen(FrameTiming, "dcfm/timing", qos(depth=2 * FRAMES))
        probe.until(
            lambda: camera.get_subscription_count() or node.status is not None, "the node to subscribe"
        )
        wake(probe, node, camera, [masks, timings])
        headers = play(bag, camera, RATE_HZ)
        timings.wait_for(stamp_of(FRAMES - 1), seconds=300)
        masks.wait_for(stamp_of(FRAMES - 1), seconds=60)
        status = node.end()
    assert status == 0, node.output

    sent = [stamp_ns(header) for header in headers]
    got = [message for message in masks.messages if stamp_ns(message.header) < stamp_of(LATER)]
    assert [message.header for message in got] == headers
    told = [message for message in timings.messages if stamp_ns(message.header) < stamp_of(LATER)]
    assert [stamp_ns(message.header) for message in told] == sent
    assert told[0].trigger == "reset" and told[0].key_frame
    assert told[-1].dropped == told[-1].failed == told[-1].lost == 0
    assert 2 < sum(message.key_frame for message in told) < FRAMES / 2

    images, labels = drive
    model = load_model(model_path)
    classes = model.config.num_classes
    offline = online = ConfusionMatrix.empty(classes)
    alike = []
    with StreamSegmenter(model, StreamConfig(mode="inline")) as stream:
        for message, rgb, label, stamp in zip(got, images, labels, sent, strict=True):
            published, expected = pixels_of(message), stream.step(rgb, stamp).mask
            alike.append(np.mean(published == expected))
            online += ConfusionMatrix.of(published, label, classes)
            offline += ConfusionMatrix.of(expected, label, classes)
    print(
        f"mIoU of the published masks {100 * online.mean_iou:.2f} %, offline {100 * offline.mean_iou:.2f} %"
    )
    assert abs(online.mean_iou - offline.mean_iou) < 0.001
    assert np.mean(alike) > 0.9999
