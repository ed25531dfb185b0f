"""A recording replayed from end to end: real bags in; bag, numbers and page out, read back as any other reader would."""

import json
import math
import signal
import tracemalloc
from itertools import count

import bags
import cv2
import numpy as np
import pytest
from bags import CompressionMode, StoragePlugin, stamp_of
from fakes import CLASSES, FakeEngine, ManualClock, job, never
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosReliability
from rosbags.typesys import get_types_from_msg

from dcfm_ros.errors import DcfmError
from dcfm_ros.interrupts import interruptible
from dcfm_ros.measure.metrics import ConfusionMatrix
from dcfm_ros.media import messages
from dcfm_ros.media.bag_writer import LATCHED, RELIABLE, BagWriter
from dcfm_ros.media.bags import Bag, stamp_ns
from dcfm_ros.replay import sinks
from dcfm_ros.replay.clocks import RobotClock
from dcfm_ros.replay.replayer import run_job
from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import Stopwatch
from dcfm_ros.stream.segmenter import StreamSegmenter

IMAGE_TOPIC = "/camera/image"


pytestmark = pytest.mark.usefixtures("fake_engine")


def replay(path, folder, **fields):
    return run_job(job(path, folder, **fields), never, quiet=True)


def masks_of(folder):
    """Stamp -> mask of an output bag."""
    return {
        stamp_ns(message): np.asarray(message.data).reshape(message.height, message.width)
        for _, _, message in Bag(folder / "bag").messages(sinks.MASK)
    }


def pictures_of(video):
    capture, pictures = cv2.VideoCapture(str(video)), []
    while (picture := capture.read()[1]) is not None:
        pictures.append(picture)
    return pictures


def truth(index):
    """Halves of two classes, the border moving; the last rows unlabelled."""
    label = np.full((48, 64), index % 3, np.uint8)
    label[:, : 20 + index] = 2
    label[44:] = 255
    return label


def labelled_bag(path, length=12, **kwargs):
    entries = []
    for index in range(length):
        stamp = stamp_of(index)
        entries.append((IMAGE_TOPIC, bags.IMAGE, stamp + 10, bags.image(bags.picture(index), stamp)))
        entries.append(("/label", bags.IMAGE, stamp + 20, bags.image(truth(index), stamp, encoding="mono8")))
    return bags.write_ros2(path, entries, **kwargs)


def make_input(kind, path):
    entries = list(bags.camera_entries(7))
    if kind == "ros1":
        return bags.write_ros1(path.with_suffix(".bag"), bags.camera_entries(7, store=bags.STORE1))
    if kind == "split":
        return bags.split_ros2(path, [3, 4], storage=StoragePlugin.SQLITE3)
    storage = StoragePlugin.SQLITE3 if kind.startswith("sqlite3") else StoragePlugin.MCAP
    compression = CompressionMode.FILE if kind.endswith("zstd") else None
    return bags.write_ros2(path, entries, storage=storage, compression=compression)


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "mcap zstd", "sqlite3 zstd", "split", "ros1"])
def test_every_kind_of_bag_gives_the_segmenters_masks(tmp_path, kind):
    path = make_input(kind, tmp_path / "in")
    done = replay(path, tmp_path / "out")
    config = StreamConfig(mode="inline", key_interval=3, key_period_ms=0)
    with StreamSegmenter(FakeEngine(), config) as stream:
        wanted = {stamp_of(i): stream.step(bags.picture(i), stamp_of(i)).mask for i in range(7)}
    found = masks_of(tmp_path / "out")
    assert list(found) == list(wanted)
    assert all((found[stamp] == wanted[stamp]).all() for stamp in wanted)
    assert done.report.summary.masks_out == 7 and not done.report.notes


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_output_bag_is_complete_for_other_readers(tmp_path, storage):
    path = labelled_bag(tmp_path / "in", length=25)
    replay(path, tmp_path / "out", storage=storage, labels="/label")
    with AnyReader([tmp_path / "out" / "bag"]) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert kinds == {
            "/segmentation/mask": "sensor_msgs/msg/Image",
            "/segmentation/confidence": "sensor_msgs/msg/Image",
            "/segmentation/overlay/compressed": "sensor_msgs/msg/CompressedImage",
            "/dcfm/timing": "dcfm_ros/msg/FrameTiming",
            "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        }
        assert counts.pop("/diagnostics") == 3  # at 0, 1 and 2 s
        assert set(counts.values()) == {25}
        assert all(
            "uint64 received" in c.msgdef.data for c in reader.connections if c.topic == "/dcfm/timing"
        )
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            index = (stamp_ns(message) - stamp_of(0)) // bags.PERIOD_NS
            assert time_ns == stamp_of(index) + 10  # logged when its image was
            if connection.topic == "/segmentation/mask":
                assert (message.header.frame_id, message.encoding, message.step) == ("camera", "mono8", 64)
            if connection.topic == "/dcfm/timing":
                assert (message.processed, message.dropped) == (index + 1, 0)
            if connection.topic == "/diagnostics":
                names = [status.name.removeprefix("dcfm: ") for status in message.status]
                assert names == ["input", "processing", "common feature", "engine"]
                seconds = index * bags.PERIOD_NS / 1e9
                assert message.status[0].message == ("10.0 images/s" if seconds else "0.0 images/s")
                assert message.status[1].message.startswith("10.0 masks/s" if seconds else "0.0 masks/s")


def test_two_runs_give_identical_bytes(tmp_path):
    path = labelled_bag(tmp_path / "in")
    for run in "ab":
        run_job(job(path, tmp_path / run, labels="/label", video=True), never, quiet=True)
    topics = (sinks.MASK, sinks.CONFIDENCE, sinks.OVERLAY)
    first, second = (
        [
            (raw.topic, raw.time_ns, bytes(raw.data))
            for raw in Bag(tmp_path / run / "bag").raw()
            if raw.topic in topics
        ]
        for run in "ab"
    )
    assert len(first) == 36 and first == second
    # A WebM file has a random identifier in its head; its pictures are the same.
    videos = [pictures_of(next((tmp_path / run).glob("overlay.*"))) for run in "ab"]
    assert len(videos[0]) == 12 and all((a == b).all() for a, b in zip(*videos, strict=True))


def test_numbers_are_those_of_the_output_bag(tmp_path, video_consistency):
    path = labelled_bag(tmp_path / "in", length=20)
    done = replay(path, tmp_path / "out", labels="/label", span=1.0)
    found = masks_of(tmp_path / "out")
    masks, labels = [found[stamp_of(i)] for i in range(20)], [truth(i) for i in range(20)]
    matrix = ConfusionMatrix.of(np.stack(masks), np.stack(labels), 3)
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    accuracy = numbers["accuracy"]
    assert accuracy["labelled_frames"] == 20
    assert accuracy["mean_iou"] == pytest.approx(matrix.mean_iou)
    assert list(accuracy["per_class_iou"].values()) == pytest.approx(matrix.per_class_iou.tolist())
    assert list(accuracy["per_class_iou"]) == list(CLASSES)
    for window in (8, 16):
        wanted = video_consistency(masks, labels, window, 3)
        assert accuracy["video_consistency"][str(window)] == pytest.approx(wanted)
    # Spans of one second are ten frames each.
    first, second = numbers["spans"]
    for segment, part in ((first, slice(0, 10)), (second, slice(10, 20))):
        of_part = ConfusionMatrix.of(np.stack(masks[part]), np.stack(labels[part]), 3)
        assert segment["mean_iou"] == pytest.approx(of_part.mean_iou)
        assert segment["video_consistency"]["8"] == pytest.approx(
            video_consistency(masks[part], labels[part], 8, 3)
        )
        assert segment["frames"] == 10
    timings = [message for _, _, message in Bag(tmp_path / "out" / "bag").messages(sinks.TIMING)]
    assert numbers["summary"]["latency"]["mean"] == pytest.approx(
        np.mean([t.latency_ms for t in timings]), rel=1e-4
    )
    assert numbers["metrics"]["NUM_FRAMES_SENT"] == 20
    assert numbers["metrics"]["MAX_LATENCY"] == pytest.approx(max(t.latency_ms for t in timings), rel=1e-4)
    assert sum(numbers["summary"]["key_frames"].values()) == sum(bool(t.trigger) for t in timings)
    confidences = [
        np.asarray(m.data).mean() for _, _, m in Bag(tmp_path / "out" / "bag").messages(sinks.CONFIDENCE)
    ]
    assert numbers["summary"]["confidence"]["mean"] == pytest.approx(np.mean(confidences) / 255)
    shares = np.mean([record.shares for record in done.report.run.records], axis=0)
    assert shares == pytest.approx(np.bincount(np.stack(masks).ravel(), minlength=3) / np.stack(masks).size)


def test_ground_truth_may_lie_in_another_bag_or_a_folder(tmp_path):
    path = labelled_bag(tmp_path / "in")
    bags.write_ros2(tmp_path / "images", bags.camera_entries(12))
    wanted = replay(path, tmp_path / "a", labels="/label").report.mean_iou
    assert replay(tmp_path / "images", tmp_path / "b", labels=f"{path}:/label").report.mean_iou == wanted
    folder = tmp_path / "drive"
    for name in ("image", "label"):
        (folder / name).mkdir(parents=True)
    for index in range(12):
        cv2.imwrite(str(folder / "image" / f"{index}.png"), bags.picture(index)[..., ::-1])
        cv2.imwrite(str(folder / "label" / f"{index}.png"), truth(index))
    found = replay(folder, tmp_path / "c")
    assert found.report.mean_iou == wanted and found.report.run.labelled == 12


def test_merged_output_holds_every_message_of_the_input(tmp_path):
    store = bags.get_typestore(bags.Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg("string where\nfloat64 how_far\n", "my_robot/msg/Place"))
    from rosbags.rosbag2 import Writer

    with Writer(tmp_path / "in", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        camera = writer.add_connection(IMAGE_TOPIC, bags.IMAGE, typestore=store)
        place = writer.add_connection("/place", "my_robot/msg/Place", typestore=store)
        for index in range(5):
            image = bags.image(bags.picture(index), stamp_of(index))
            writer.write(camera, stamp_of(index), store.serialize_cdr(image, bags.IMAGE))
            there = store.types["my_robot/msg/Place"](where=f"here {index}", how_far=index / 2)
            writer.write(place, stamp_of(index) + 5, store.serialize_cdr(there, "my_robot/msg/Place"))
    done = replay(tmp_path / "in", tmp_path / "out", merge=True)
    assert not done.report.notes
    with AnyReader([tmp_path / "out" / "bag"]) as reader:
        # This reader knows no my_robot: the definition must have travelled.
        found = [(c.topic, t, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]
    places = [(t, m.where, m.how_far) for topic, t, m in found if topic == "/place"]
    assert places == [(stamp_of(i) + 5, f"here {i}", i / 2) for i in range(5)]
    images = [np.asarray(m.data).reshape(48, 64, 3) for topic, _, m in found if topic == IMAGE_TOPIC]
    assert all((image == bags.picture(i)).all() for i, image in enumerate(images)) and len(images) == 5
    assert sum(topic == sinks.MASK for topic, _, _ in found) == 5


def test_a_ros1_bag_is_merged_as_ros2(tmp_path):
    path = bags.write_ros1(tmp_path / "in.bag", bags.camera_entries(3, store=bags.STORE1))
    replay(path, tmp_path / "out", merge=True)
    images = [message for _, _, message in Bag(tmp_path / "out" / "bag").messages(IMAGE_TOPIC)]
    assert [stamp_ns(message) for message in images] == [stamp_of(i) for i in range(3)]
    assert (np.asarray(images[2].data).reshape(48, 64, 3) == bags.picture(2)).all()


def test_former_output_is_kept_without_force(tmp_path):
    path = make_input("mcap", tmp_path / "in")
    replay(path, tmp_path / "out")
    before = (tmp_path / "out" / "index.html").stat().st_mtime_ns
    with pytest.raises(DcfmError, match="holds an earlier run; add --force"):
        replay(path, tmp_path / "out")
    assert (tmp_path / "out" / "index.html").stat().st_mtime_ns == before
    replay(path, tmp_path / "out", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(DcfmError, match="no run of dcfm wrote"):
        replay(path, tmp_path / "mine", force=True)


def test_what_was_processed_before_ctrl_c_is_reported(tmp_path):
    path = make_input("mcap", tmp_path / "in")
    asked = count()
    done = run_job(job(path, tmp_path / "out"), lambda: next(asked) >= 4, quiet=True)
    assert done.interrupted
    assert done.report.notes == ("interrupted by Ctrl-C after 4 frames",)
    assert len(masks_of(tmp_path / "out")) == 4
    assert "interrupted by Ctrl-C after 4 frames" in done.page.read_text()
    with pytest.raises(KeyboardInterrupt):
        run_job(job(path, tmp_path / "none"), lambda: True, quiet=True)


def test_a_damaged_bag_is_reported_as_far_as_it_goes(tmp_path):
    path = bags.write_ros2(tmp_path / "in", bags.camera_entries(60, size=(160, 120)))
    (file,) = path.glob("*.mcap")
    with file.open("r+b") as opened:  # rubbish in one of several chunks
        opened.seek(file.stat().st_size // 2)
        opened.write(b"\xff" * 200_000)
    done = replay(path, tmp_path / "out", merge=True)
    assert any("reading stopped after" in note for note in done.report.notes)
    assert any("reading stopped after" in reason for reason in done.failed)  # and so the exit status is not 0
    assert 0 < len(masks_of(tmp_path / "out")) == done.report.summary.masks_out < 60


def test_an_output_that_fails_ends_neither_the_others_nor_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise DcfmError("no space left")

    path = bags.write_ros2(tmp_path / "in", bags.camera_entries(8))
    monkeypatch.setattr("dcfm_ros.media.video_writer.VideoWriter.write", full)
    done = replay(path, tmp_path / "out", video=True)
    assert done.failed == ("no space left",) and "no space left" in done.report.notes
    assert len(masks_of(tmp_path / "out")) == done.report.summary.masks_out == 8
    monkeypatch.undo()
    monkeypatch.setattr("dcfm_ros.media.bag_writer.BagWriter.write_raw", full)
    done = replay(path, tmp_path / "other", video=True)
    assert done.failed == ("no space left",) and done.report.summary.masks_out == 8
    assert (tmp_path / "other" / "overlay.webm").stat().st_size > 0


def test_a_report_that_cannot_be_written_is_told_with_its_name(tmp_path, monkeypatch):
    def full(report, folder):
        raise OSError(28, "No space left on device", str(folder / "index.html"))

    monkeypatch.setattr("dcfm_ros.replay.replayer.write_report", full)
    done = replay(bags.write_ros2(tmp_path / "in", bags.camera_entries(3)), tmp_path / "out")
    (reason,) = done.failed
    assert reason.endswith("index.html': No space left on device") and done.report.summary.masks_out == 3


def test_merged_output_keeps_the_recorded_qos(tmp_path):
    """A latched topic of the input is latched in the output, and a best-effort one best effort."""
    recorded = {
        "/tf_static": LATCHED,
        "/imu": RELIABLE._replace(reliability=QosReliability.BEST_EFFORT),
    }
    with BagWriter(tmp_path / "in") as bag:
        for topic, qos in recorded.items():
            bag.add_topic(topic, "std_msgs/msg/String", qos=(qos,))
            bag.write(topic, "std_msgs/msg/String", stamp_of(0), bags.string("here"))
        for index in range(3):
            stamp = stamp_of(index)
            bag.write(IMAGE_TOPIC, bags.IMAGE, stamp, messages.picture(bags.picture(index), stamp, ""))
    replay(tmp_path / "in", tmp_path / "out", merge=True)
    found = {raw.topic: raw.qos for raw in Bag(tmp_path / "out" / "bag").raw()}
    assert {topic: found[topic] for topic in recorded} == {topic: (qos,) for topic, qos in recorded.items()}


def test_one_message_logged_at_time_zero_bends_nothing(tmp_path):
    entries = list(bags.camera_entries(8))
    entries[3] = (*entries[3][:2], 0, entries[3][3])
    path = bags.write_ros2(tmp_path / "in", entries)
    done = replay(path, tmp_path / "out", video=True)
    assert done.report.summary.masks_out == 8 and not done.failed
    video = cv2.VideoCapture(str(tmp_path / "out" / "overlay.webm"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert sum(video.read()[0] for _ in range(9)) == 8


def write_images(path, entries):
    """(log time, stamp, pixels) entries as a bag."""
    return bags.write_ros2(
        path, [(IMAGE_TOPIC, bags.IMAGE, log, bags.image(pixels, stamp)) for log, stamp, pixels in entries]
    )


def test_stamps_of_zero_are_log_times(tmp_path):
    path = write_images(tmp_path / "in", [(stamp_of(i), 0, bags.picture(i)) for i in range(4)])
    replay(path, tmp_path / "out")
    assert list(masks_of(tmp_path / "out")) == [stamp_of(i) for i in range(4)]


def test_stamps_that_jump_back_begin_the_stream_anew(tmp_path):
    order = [0, 1, 2, 3, 1, 2, 3]
    path = write_images(
        tmp_path / "in", [(stamp_of(n), stamp_of(i), bags.picture(i)) for n, i in enumerate(order)]
    )
    done = replay(path, tmp_path / "out")
    assert done.report.notes == ("1 break in the stream: the stamps jump back",)
    assert [record.trigger for record in done.report.run.records] == [
        "first",
        "",
        "",
        "interval",
        "reset",
        "",
        "",
    ]
    assert [span.frames for span in done.report.spans] == [4, 3]
    assert math.isnan(done.report.run.records[4].flow_consistency)


def test_images_that_change_their_size_or_encoding(tmp_path):
    sizes = [(64, 48)] * 3 + [(32, 24)] * 2
    entries = [
        (IMAGE_TOPIC, bags.IMAGE, stamp_of(i), bags.image(bags.picture(i, size), stamp_of(i)))
        for i, size in enumerate(sizes)
    ]
    grey = cv2.cvtColor(bags.picture(5), cv2.COLOR_RGB2GRAY)
    entries.append((IMAGE_TOPIC, bags.IMAGE, stamp_of(5), bags.image(grey, stamp_of(5), encoding="mono8")))
    entries.append(
        (IMAGE_TOPIC, bags.IMAGE, stamp_of(6), bags.image(bags.picture(6), stamp_of(6), encoding="martian"))
    )
    done = replay(bags.write_ros2(tmp_path / "in", entries), tmp_path / "out")
    assert [mask.shape for mask in masks_of(tmp_path / "out").values()] == [(48, 64)] * 3 + [(24, 32)] * 2 + [
        (48, 64)
    ]
    assert "2 breaks in the stream: the images change size" in done.report.notes
    assert any(
        note.startswith("1 unreadable frame skipped: ") and "martian" in note for note in done.report.notes
    )


def test_an_image_that_cannot_be_used_is_counted_and_named_in_the_bag(tmp_path):
    entries = [
        (IMAGE_TOPIC, bags.IMAGE, stamp_of(i), bags.image(bags.picture(i), stamp_of(i))) for i in range(12)
    ]
    entries[4] = (*entries[4][:3], bags.image(bags.picture(4), stamp_of(4), encoding="martian"))
    done = replay(bags.write_ros2(tmp_path / "in", entries), tmp_path / "out")
    (reason,) = done.failed  # and so the exit status is not 0
    assert reason.startswith("1 unreadable frame skipped: ") and done.report.notes == (reason,)
    bag = Bag(tmp_path / "out" / "bag")
    told = [message.status[0] for _, _, message in bag.messages("/diagnostics")]
    counted = [message for _, _, message in bag.messages("/dcfm/timing")]
    assert [status.level for status in told] == [0, 1]
    assert "1 unusable image: " in told[1].message and "martian" in told[1].message
    assert (counted[-1].received, counted[-1].processed, counted[-1].failed) == (12, 11, 1)


def test_frames_sent_twice_are_left_out(tmp_path):
    path = write_images(
        tmp_path / "in", [(stamp_of(n), stamp_of(n // 2), bags.picture(n // 2)) for n in range(6)]
    )
    done = replay(path, tmp_path / "out")
    assert done.report.notes == ("3 repeated frames left out (same stamp as the one before)",)
    assert done.report.summary.masks_out == 3


def test_each_eye_of_a_stereo_topic_has_a_stream_of_its_own(tmp_path):
    """Stamped alike, on one topic: no mask is made with the other eye's common feature."""
    entries, wanted = [], {}
    config = StreamConfig(mode="inline", key_interval=3, key_period_ms=0)
    for offset, eye in ((0, "left"), (20, "right")):
        with StreamSegmenter(FakeEngine(), config) as stream:
            for i in range(6):
                pixels = bags.picture(i + offset)
                wanted[eye, stamp_of(i)] = stream.step(pixels, stamp_of(i)).mask
                message = bags.image(pixels, stamp_of(i))
                message.header.frame_id = eye
                entries.append((IMAGE_TOPIC, bags.IMAGE, stamp_of(i) + offset, message))
    path = bags.write_ros2(tmp_path / "in", sorted(entries, key=lambda entry: entry[2]))
    assert replay(path, tmp_path / "out").report.summary.masks_out == 12
    found = {
        (message.header.frame_id, stamp_ns(message)): np.asarray(message.data).reshape(
            message.height, message.width
        )
        for _, _, message in Bag(tmp_path / "out" / "bag").messages(sinks.MASK)
    }
    assert all((found[key] == wanted[key]).all() for key in wanted)


def test_labels_that_do_not_fit_are_counted(tmp_path):
    entries = []
    for index in range(6):
        stamp = stamp_of(index)
        label = truth(index) if index < 4 else np.zeros((24, 32), np.uint8)
        encoding = "mono8" if index != 2 else "8SC1"
        entries.append((IMAGE_TOPIC, bags.IMAGE, stamp, bags.image(bags.picture(index), stamp)))
        entries.append(("/label", bags.IMAGE, stamp, bags.image(label, stamp, encoding=encoding)))
    done = replay(bags.write_ros2(tmp_path / "in", entries), tmp_path / "out", labels="/label")
    assert done.report.run.labelled == 3
    notes = "\n".join(done.report.notes)
    assert "2 labels not used: the label is 32×24, the mask 64×48" in notes
    assert "1 label not used: " in notes and "8SC1" in notes


def test_labels_are_found_again_after_a_jump_back(tmp_path):
    entries = []
    for place, index in enumerate([0, 1, 2, 0, 1, 2]):
        log, stamp = stamp_of(place), stamp_of(index)
        entries.append((IMAGE_TOPIC, bags.IMAGE, log, bags.image(bags.picture(index), stamp)))
        entries.append(("/label", bags.IMAGE, log + 1, bags.image(truth(index), stamp, encoding="mono8")))
    done = replay(bags.write_ros2(tmp_path / "in", entries), tmp_path / "out", labels="/label")
    assert done.report.run.labelled == 6


@pytest.mark.parametrize(
    "entries, words",
    [
        ([], "is empty"),
        (
            [("/text", "std_msgs/msg/String", 1, bags.string("hello"))],
            r"no image topic with messages[\s\S]*/text",
        ),
    ],
)
def test_bags_without_images_leave_no_output(tmp_path, entries, words):
    path = bags.write_ros2(tmp_path / "in", entries)
    with pytest.raises(DcfmError, match=words):
        replay(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def robot_with(monkeypatch, **spent):
    """A replay in simulated time in which everything takes as long as is made up here."""
    clock = ManualClock()
    made = FakeEngine(clock, **spent)
    monkeypatch.setattr("dcfm_ros.replay.replayer.create_engine", lambda weights, config: made)
    monkeypatch.setattr("dcfm_ros.replay.replayer.make_clock", lambda name: RobotClock(clock))
    monkeypatch.setattr(Stopwatch, "total", lambda self: 0.0)  # of decoding a message


def test_as_on_the_robot_drops_frames_and_says_so(tmp_path, monkeypatch):
    robot_with(monkeypatch, independent=130, common=20)
    path = labelled_bag(tmp_path / "in", length=12)
    done = replay(path, tmp_path / "out", clock="robot", labels="/label", stream=StreamConfig(key_interval=3))
    assert done.report.summary.lost == 2
    found = masks_of(tmp_path / "out")
    assert len(found) == 10
    last = [message for _, _, message in Bag(tmp_path / "out" / "bag").messages(sinks.TIMING)][-1]
    assert (last.received, last.processed, last.dropped) == (12, 10, 2)
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["metrics"]["NUM_MISSED_FRAMES"] == 2
    assert "2 lost" in done.page.read_text()


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    """Eight times as many frames, with bag and report, take no more memory: of a frame only numbers are kept."""
    peaks = {}
    for length in (100, 800):
        path = bags.write_ros2(tmp_path / f"in{length}", bags.camera_entries(length, size=(160, 120)))
        replay(path, tmp_path / f"warm{length}", frames=3)
        tracemalloc.start()
        try:
            done = replay(path, tmp_path / f"out{length}")
            peaks[length] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert done.report.summary.masks_out == length
    # The longer recording has 40 MB more of pictures; its records are 1 MB.
    assert peaks[800] - peaks[100] < 3e6


def test_the_first_ctrl_c_only_asks(tmp_path):
    with interruptible() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_is_in_hand_counts_late_and_dropped_masks(tmp_path, monkeypatch):
    # 130 ms a frame at 10 Hz: when frame n comes, the newest mask there is was made of a frame before it.
    robot_with(monkeypatch, independent=130)
    path = labelled_bag(tmp_path / "in", length=9)
    stream = StreamConfig(mode="inline", key_interval=1, agreement=False)
    report = replay(path, tmp_path / "out", clock="robot", labels="/label", stream=stream).report
    done = [(record.received_ms, record.stamp_ns) for record in report.run.records if not record.lost]
    masks = masks_of(tmp_path / "out")
    wanted = ConfusionMatrix.empty(3)
    for index in range(9):
        known = [stamp for at_ms, stamp in done if at_ms <= 100 * index + 1e-6]
        if known:
            wanted = wanted + ConfusionMatrix.of(masks[known[-1]], truth(index), 3)
    assert report.summary.lost == 1
    assert report.run.latest_mask == wanted and report.run.latest_mask.pixels < 9 * 44 * 64
