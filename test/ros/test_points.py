"""dcfm_points over real DDS: masks with depth, clouds and calibrations in, labelled points and free space out."""

import sys
import time
from array import array
from types import SimpleNamespace

import numpy as np
import pytest
from nav_msgs.msg import OccupancyGrid
from processes import NodeProcess
from rclpy.parameter import Parameter
from ros_graph import (
    START_NS,
    Probe,
    Spinner,
    camera_info,
    image,
    qos,
    raw_image,
    set_stamp,
    stamp_ns,
    stamp_of,
)
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.points import mounts
from dcfm_ros.node.points.messages import depth_of, points_of_cloud
from dcfm_ros.node.points.node import PointsNode
from dcfm_ros.space.cloud import POINT

SIZE = WIDTH, HEIGHT = (64, 48)
MASK = np.full((HEIGHT, WIDTH), 3, np.uint8)  # road
MASK[:30, 20:40] = 8  # a car
MASK[:10] = 0  # sky


class Rig:
    """A dcfm_points, what plays its inputs, and what listens to it."""

    def __init__(self, namespace, **parameters):
        values = {"diagnostics_period_s": 0.1, "rectified": True, "mount": "parameters", **parameters}
        self.node = PointsNode(
            namespace=namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.probe = Probe(namespace)
        ground = values.get("source") == "ground"
        self.out = self.probe.listen(
            *((OccupancyGrid, "segmentation/grid") if ground else (PointCloud2, "segmentation/points"))
        )
        self.publishers = {
            topic: self.probe.create_publisher(kind, topic, qos())
            for topic, kind in self.node._inputs().items()
        }
        self.spinners = [Spinner(self.node), Spinner(self.probe)]
        self.probe.matched(*self.publishers.values())

    def play(self, stamp=START_NS, calibration=None, **messages):
        if "segmentation/camera_info" in self.publishers:
            self.publishers["segmentation/camera_info"].publish(calibration or info(stamp=stamp))
        self.publishers["segmentation/mask"].publish(image(MASK, stamp, encoding="mono8"))
        self.publishers["segmentation/confidence"].publish(
            image(np.full_like(MASK, 204), stamp, encoding="mono8")
        )
        for topic, message in messages.items():
            self.publishers[topic].publish(message)

    def told(self, text):
        return self.probe.status("dcfm_points: points", lambda status: text in status.message, text)

    def close(self):
        for spinner in self.spinners:
            spinner.stop()
        self.node.destroy_node()
        self.probe.destroy_node()


@pytest.fixture
def rig(ros, request):
    rigs = []

    def make(**parameters):
        rigs.append(Rig(f"/points{abs(hash(request.node.name)) % 10**8}", **parameters))
        return rigs[-1]

    yield make
    for each in rigs:
        each.close()


def info(size=SIZE, stamp=START_NS):
    message = camera_info(size, stamp)
    message.p[3] = 0.0
    return message


def depth_image(metres, stamp=START_NS, encoding="16UC1"):
    values = (metres * 1000).astype("<u2") if encoding == "16UC1" else metres.astype("<f4")
    return raw_image(encoding, HEIGHT, WIDTH, values.itemsize * WIDTH, values.tobytes(), stamp)


def points_in(message):
    assert (
        message.point_step == POINT.itemsize and len(message.data) == message.row_step == 24 * message.width
    )
    kinds = {field.name: field.datatype for field in message.fields}
    assert kinds.pop("label") == PointField.UINT8
    assert kinds == dict.fromkeys(("x", "y", "z", "rgb", "confidence"), PointField.FLOAT32)
    return np.frombuffer(message.data, POINT)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_depth_becomes_labelled_points_of_the_masks_stamp(rig, encoding):
    rig = rig(voxel_m=0.0, classes=["car"])
    metres = np.full((HEIGHT, WIDTH), 4.0)
    metres[:, 30:] = 50.0  # too far
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    rig.play(stamp_of(0), image=image(picture, stamp_of(0)))  # its depth never comes
    rig.play(stamp_of(1), image=image(picture, stamp_of(1)), depth=depth_image(metres, stamp_of(1), encoding))
    message = rig.out.wait_for(stamp_of(1))
    assert message.header.frame_id == "camera" and len(rig.out.messages) == 1
    points = points_in(message)
    rows, columns = np.nonzero((MASK == 8) & (metres < 10))
    assert (points["label"] == 8).all() and np.allclose(points["confidence"], 0.8)
    assert np.allclose(points["z"], 4.0)
    assert np.allclose(points["x"], (columns - 32) / 64 * 4, atol=1e-5)
    assert np.allclose(points["y"], (rows - 24) / 48 * 4, atol=1e-5)
    assert np.array_equal(points["rgb"] >> 16, picture[rows, columns, 0])
    assert np.array_equal(points["rgb"] & 255, picture[rows, columns, 2])
    values = {each.key: each.value for each in rig.told("placed").values}
    assert values["published"] == "1" and values["unmatched"] == "1"


def test_an_organised_cloud_gets_labels(rig):
    rig = rig(source="cloud", voxel_m=0.0, max_range_m=100.0)
    cloud = PointCloud2(height=HEIGHT, width=WIDTH, point_step=20, row_step=20 * WIDTH)
    set_stamp(cloud.header, START_NS)
    cloud.header.frame_id = "optical"
    names = ("x", "y", "z", "pad", "rgb")
    cloud.fields = [
        PointField(name=name, offset=4 * n, datatype=PointField.FLOAT32, count=1)
        for n, name in enumerate(names)
        if name != "pad"
    ]
    numbers = np.random.default_rng(1).uniform(1, 9, (HEIGHT, WIDTH, 5)).astype("<f4")
    numbers[..., 4].view("<u4")[:] = 0x123456
    numbers[5] = np.nan
    cloud.data = array("B", numbers.tobytes())
    rig.play(points=cloud)
    message = rig.out.wait_for(START_NS)
    points = points_in(message)
    kept = np.arange(HEIGHT) != 5
    assert message.header.frame_id == "optical"
    assert np.array_equal(points["x"], numbers[kept][..., 0].ravel())
    assert np.array_equal(points["label"], MASK[kept].ravel())
    assert (points["rgb"] == 0x123456).all()


def test_the_ground_is_free_where_road_is_seen_and_occupied_at_the_cars_foot(rig):
    rig = rig(source="ground", height_m=1.0, pitch_deg=30.0, half_life_s=3600.0, max_age_s=3600.0)
    now = time.time_ns()
    rig.play(now)
    message = rig.out.wait_for(now)
    assert message.header.frame_id == "base_footprint" and message.info.width == 200
    cells = np.array(message.data, np.int8).reshape(200, 200)
    assert set(np.unique(cells)) == {-1, 10, 90}  # the confidence is 0.8
    assert cells[100, 109] == 10 and cells[100, 118] == -1 and (cells[:, :100] == -1).all()
    y, x = np.nonzero(cells == 90)
    assert len(x) and (np.abs(y - 100) < 12).all()
    foot = 1 / np.tan(np.radians(30) + np.arctan((29.5 - 24) / 48))
    assert np.allclose((x - 100 + 0.5) * 0.1, foot, atol=0.1)


@pytest.mark.parametrize(
    ("k", "size", "says"),
    [
        (
            [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
            (640, 480),
            "is for 640×480 pixels, the mask is 64×48",
        ),
        ([0.0] * 9, SIZE, "not calibrated"),
        ([float("nan")] * 9, SIZE, "not finite"),
    ],
)
def test_a_wrong_calibration_is_told_and_nothing_is_published(rig, k, size, says):
    rig = rig(colours="classes", rectified=False)
    calibration = info(size)
    calibration.k = k
    rig.play(calibration=calibration, depth=depth_image(np.ones((HEIGHT, WIDTH))))
    rig.told(says)
    assert not rig.out.messages


def test_an_input_that_is_silent_is_named(rig):
    rig = rig(colours="classes", diagnostics_period_s=2.0)
    rig.play()
    status = rig.told("no messages arrive on")
    assert status.message.endswith("/depth") and "mask" not in status.message


@pytest.mark.parametrize(
    ("parameters", "age_s", "says"),
    [
        ({"pitch_deg": -80.0}, 0.0, "sees no ground within 10 m"),
        ({"max_age_s": 5.0}, 60.0, "s old, more than max_age_s"),
    ],
)
def test_no_ground_and_old_masks_are_told(rig, parameters, age_s, says):
    rig = rig(source="ground", **{"max_age_s": 3600.0, **parameters})
    stamp = time.time_ns() - int(age_s * 1e9)
    rig.play(stamp)
    rig.told(says)
    assert not rig.out.messages


def test_a_depth_of_another_size_is_told_and_the_next_frame_works(rig):
    rig = rig(colours="classes")
    rig.play(stamp_of(0), depth=raw_image("16UC1", 2, 2, 4, bytes(8), stamp_of(0)))
    rig.told("depth is 2×2, the mask 64×48")
    rig.play(stamp_of(1), depth=depth_image(np.ones((HEIGHT, WIDTH)), stamp_of(1)))
    rig.out.wait_for(stamp_of(1))


def test_masks_of_dcfm_node_become_a_grid(graph):
    """Both nodes at work: mask, confidence and calibration of a frame come with one stamp, and its grid has it, too."""
    segmenter = graph.node()
    camera, infos = graph.probe.camera(), graph.probe.camera("camera_info", CameraInfo)
    out = graph.probe.listen(OccupancyGrid, "segmentation/grid")
    values = {"source": "ground", "mount": "parameters", "pitch_deg": 20.0, "max_age_s": 3600.0}
    node = PointsNode(
        namespace=graph.namespace,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    spinner = Spinner(node)
    try:
        wanted = {f"{graph.namespace}/{topic}" for topic in node._inputs()}
        graph.probe.until(
            lambda: (
                wanted <= {each.topic_name for each in segmenter.publishers if each.get_subscription_count()}
            ),
            "both nodes to meet",
        )
        graph.probe.matched(camera, infos)
        stamp = time.time_ns()
        infos.publish(camera_info((160, 96), stamp))
        graph.probe.until(lambda: segmenter._cameras[0]._latest.infos._latest, "the calibration")
        camera.publish(image(np.zeros((96, 160, 3), np.uint8), stamp))
        message = out.wait_for(stamp)
        assert message.header.frame_id == "base_footprint" and len(message.data) == 200 * 200
    finally:
        spinner.stop()
        node.destroy_node()


def test_inputs_are_subscribed_only_while_somebody_listens(rig):
    rig = rig(colours="classes")
    rig.probe.destroy_subscription(rig.out._subscription)
    mask = rig.publishers["segmentation/mask"]
    rig.probe.until(lambda: mask.get_subscription_count() == 0, "the end of the subscription")
    rig.told("nobody subscribes")


def test_a_message_that_is_damaged_is_refused():
    with pytest.raises(DcfmError, match="encoding 'rgb8'; expected 16UC1 or mono16 or 32FC1"):
        depth_of(raw_image("rgb8", 2, 2, 6, bytes(12)))
    with pytest.raises(DcfmError, match="it is damaged"):
        depth_of(raw_image("16UC1", 2, 2, 4, bytes(7)))
    with pytest.raises(DcfmError, match="not organised"):
        points_of_cloud(PointCloud2(height=1, width=9))
    with pytest.raises(DcfmError, match="no little-endian float32"):
        points_of_cloud(PointCloud2(height=2, width=9))
    with pytest.raises(DcfmError, match="is empty"):
        points_of_cloud(PointCloud2(height=2, width=0, row_step=0))
    big = raw_image("16UC1", 1, 2, 4, np.array([1000, 2000], ">u2").tobytes())
    big.is_bigendian = 1
    assert np.allclose(depth_of(big), [[1, 2]])


class FakeTf:
    """What this node uses of tf2_ros, which is no wheel."""

    class TransformException(Exception):
        pass

    def __init__(self, answer):
        self.answer = answer

    def Buffer(self):
        return SimpleNamespace(lookup_transform=self.lookup)

    def TransformListener(self, buffer, node):
        return buffer

    def lookup(self, target, source, when):
        if isinstance(self.answer, Exception):
            raise self.answer
        self.asked = target, source, when.nanoseconds
        place, turn = (SimpleNamespace(**dict(zip("xyzw", numbers))) for numbers in self.answer)
        return SimpleNamespace(transform=SimpleNamespace(translation=place, rotation=turn))


def test_the_mount_comes_from_tf_at_the_masks_time(monkeypatch):
    tf = FakeTf(((0.5, 0.0, 1.5), (-0.5, 0.5, -0.5, 0.5)))
    monkeypatch.setattr(mounts, "tf2_ros", tf)
    config = SimpleNamespace(ground_frame="base")
    header = image(MASK, stamp_of(3), encoding="mono8").header
    mount = mounts.FromTf(None, config).at(header)
    assert tf.asked == ("base", "camera", stamp_ns(header))
    assert mount.eye.tolist() == [0.5, 0.0, 1.5] and np.allclose(mount.turn[:, 2], [1, 0, 0])
    tf.answer = FakeTf.TransformException("extrapolation into the past")
    with pytest.raises(
        DcfmError, match="no transform from 'camera' to 'base' at the mask's time: extrapolation"
    ):
        mounts.FromTf(None, config).at(header)


def test_tf_that_is_missing_is_told_on_the_wire(rig, monkeypatch):
    monkeypatch.setattr(mounts, "tf2_ros", FakeTf(FakeTf.TransformException("base_footprint does not exist")))
    rig = rig(source="ground", mount="tf", max_age_s=3600.0)
    stamp = time.time_ns()
    rig.play(stamp)
    rig.told("base_footprint does not exist")
    assert not rig.out.messages


CODE = "import sys\nfrom dcfm_ros.node.points.main import main\nmain()"


def test_the_process_ends_with_0_and_says_in_one_line_why_it_cannot_start(tmp_path):
    with NodeProcess(tmp_path / "log", code=CODE, source="sonar") as process:
        assert process.wait() == 1
        assert process.output.strip().endswith("source is 'sonar'; expected one of depth, cloud, ground")
    with NodeProcess(tmp_path / "log", code=CODE, sauce="depth") as process:
        assert process.wait() == 1
        assert "sauce" in process.output and "Traceback" not in process.output
    with NodeProcess(tmp_path / "log", code=CODE, namespace="/ending") as process:
        probe = sys.modules["rclpy"].create_node("asker") if sys.modules["rclpy"].ok() else None
        assert probe is None or _seen(probe)
        assert process.end() == 0


def _seen(probe):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ("dcfm_points", "/ending") in probe.get_node_names_and_namespaces():
            probe.destroy_node()
            return True
        time.sleep(0.05)
    return False
