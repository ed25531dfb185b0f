"""Triggers on odometry, tried on a recording that has it."""

import math

import bags
import pytest
from bags import stamp_of
from fakes import job, never

from dcfm_ros.errors import DcfmError
from dcfm_ros.media.messages import ODOMETRY, message
from dcfm_ros.media.open_source import open_source
from dcfm_ros.replay.job import parse
from dcfm_ros.replay.replayer import run_job
from dcfm_ros.replay.sweep import run_sweep
from dcfm_ros.stream.config import StreamConfig

FRAMES = 10


def odometry(x, stamp_ns):
    """A robot `x` metres along its way."""
    kinds = bags.STORE2.types
    vector, zeros = kinds["geometry_msgs/msg/Vector3"], bags.np.zeros(36)
    pose = kinds["geometry_msgs/msg/Pose"](
        position=kinds["geometry_msgs/msg/Point"](x=x, y=0.0, z=0.0),
        orientation=kinds["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    twist = kinds["geometry_msgs/msg/Twist"](linear=vector(1.0, 0.0, 0.0), angular=vector(0.0, 0.0, 0.0))
    return message(
        ODOMETRY,
        header=bags.header(bags.STORE2, stamp_ns, "odom"),
        child_frame_id="base_link",
        pose=kinds["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=zeros),
        twist=kinds["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=zeros),
    )


def recording(path, topics=("/odom",), late_ns=-1, first=0):
    """Frames 0.1 s apart; the robot drives 1 m between two of them, and tells so `late_ns` after the frame was taken."""
    entries = []
    for index in range(FRAMES):
        stamp = stamp_of(index)
        entries.append(("/image", bags.IMAGE, stamp, bags.image(bags.picture(index), stamp)))
        if index >= first:
            for topic in topics:
                entries.append((topic, ODOMETRY, stamp + late_ns, odometry(float(index), stamp + late_ns)))
    return bags.write_ros2(path, sorted(entries, key=lambda entry: entry[2]))


def moving(**fields):
    return StreamConfig(mode="inline", key_period_ms=0, motion_threshold=0, max_age_ms=1e6, **fields)


def key_frames(report):
    return [(i, r.trigger) for i, r in enumerate(report.run.records) if r.key_frame]


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("late_ns, keys", [(-1, [3, 6, 9]), (1, [4, 7])])
def test_the_newest_pose_before_a_frame_counts(tmp_path, late_ns, keys):
    bag = recording(tmp_path / "bag", late_ns=late_ns)
    done = run_job(
        job(bag, tmp_path / "out", stream=moving(odometry_distance_m=3.0), bag=False), never, quiet=True
    )
    assert key_frames(done.report) == [(0, "first"), *((index, "odometry") for index in keys)]
    assert done.report.settings["Refresh"].startswith("after moving 3 m")
    early = () if late_ns < 0 else ("1 frame came before the first message of /odom",)
    assert done.failed == early


def test_poses_are_read_only_when_asked_for(tmp_path):
    bag = recording(tmp_path / "bag", first=2)
    with open_source(bag, odometry="") as source:
        poses = [frame.odometry for frame in source]
        assert poses[:2] == [None, None] and [pose.position[0] for pose in poses[2:]] == [*range(2, FRAMES)]
        assert source.problem == "2 frames came before the first message of /odom"
        assert len(list(source)) == FRAMES and "2 frames" in source.problem  # each time anew
    with open_source(bag) as source:
        assert all(frame.odometry is None for frame in source) and not source.problem


@pytest.mark.parametrize(
    "topics, chosen, words",
    [
        ((), None, "has none at all"),
        (("/a", "/b"), None, "it has /a, /b; choose with --odometry"),
        (("/a",), "/c", "need /c of nav_msgs/msg/Odometry"),
    ],
)
@pytest.mark.usefixtures("fake_engine")
def test_without_odometry_nothing_is_begun(tmp_path, topics, chosen, words):
    bag = recording(tmp_path / "bag", topics)
    wanted = job(bag, tmp_path / "out", stream=moving(odometry_angle_deg=9.0), odometry=chosen)
    with pytest.raises(DcfmError, match=words):
        run_job(wanted, never, quiet=True)
    base = job(bag, tmp_path / "out", stream=StreamConfig(mode="inline"), odometry=chosen)
    with pytest.raises(DcfmError, match=words):
        run_sweep(base, parse(["trigger=interval:2,odometry:3m"]), never)
    assert not (tmp_path / "out").exists()


def test_pictures_have_no_odometry(tmp_path):
    bags.cv2.imwrite(str(tmp_path / "a.png"), bags.picture(0))
    with pytest.raises(DcfmError, match="a folder of images and has no odometry"):
        open_source(tmp_path, odometry="")


@pytest.mark.usefixtures("fake_engine")
def test_a_sweep_tries_triggers_on_odometry(tmp_path):
    bag = recording(tmp_path / "bag")
    base = job(bag, tmp_path / "out", stream=StreamConfig(mode="inline"), bag=False)
    sweep = run_sweep(base, parse(["trigger=odometry:2m,odometry:5m"]), never)
    shares = {point.name: point.key_frames for point in sweep.points}
    assert math.isclose(shares["odometry:2m"], 0.5) and math.isclose(shares["odometry:5m"], 0.2)
