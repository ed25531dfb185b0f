"""Recorded live runs read back: what was lost, came twice or too late, also where stamps repeat."""

import math
from types import SimpleNamespace

import bags
import numpy as np
import pytest
from bags import picture, stamp_of
from fakes import CARD

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.machine import LoadSample, load_json
from dcfm_ros.media import messages
from dcfm_ros.media.bag_writer import BagWriter
from dcfm_ros.replay.live.recorded import Sent, Stages, Topics, read_recording, read_sent, sent_as_recorded
from dcfm_ros.replay.summary import summarise

TOPICS = Topics("/image", "/mask", "/robot/dcfm/timing", "/label", "/diagnostics")
MS = 1_000_000
WALL = 2_000_000_000_000_000_000


def mask(index):
    return np.full((48, 64), index % 3, np.uint8)


def write(path, images, masks):
    """images: (stamp, log); masks: (stamp, log, index of its content)."""
    entries = [
        (log, "/image", messages.picture(picture(n), stamp, "")) for n, (stamp, log) in enumerate(images)
    ]
    entries += [(log, "/mask", messages.picture(mask(index), stamp, "")) for stamp, log, index in masks]
    with BagWriter(path) as bag:
        for log, topic, message in sorted(entries, key=lambda entry: entry[0]):
            bag.write(topic, messages.IMAGE, log, message)
        bag.write(TOPICS.timing, messages.FRAME_TIMING, WALL, timing(stamp_of(0)))
        bag.write("/label", messages.IMAGE, WALL, messages.picture(mask(0), stamp_of(0), ""))


def timing(stamp):
    from test_bag_writer import timing as zeros

    message = zeros(stamp, trigger="first", key_frame=True)
    message.header.frame_id = ""
    return message


def test_lost_duplicate_and_out_of_order(tmp_path):
    sent = [Sent(stamp_of(n), WALL + 100 * MS * n, "") for n in range(5)]
    images = [(entry.stamp_ns, entry.sent_ns + MS) for entry in sent]
    # The mask of 0 comes after 20 ms; 1 is lost; 3 comes before 2; 4 comes twice.
    times = [(0, 20), (3, 320), (2, 330), (4, 440), (4, 450)]
    write(tmp_path / "bag", images, [(stamp_of(n), WALL + at * MS, n) for n, at in times])
    run, odd = read_recording(tmp_path / "bag", TOPICS, CARD, sent=sent)
    assert [record.lost for record in run.records] == [False, True, False, False, False]
    latencies = [record.latency_ms for record in run.records]
    assert latencies == pytest.approx([20, math.nan, 130, 20, 40], nan_ok=True)
    assert odd == {"duplicates": 1, "out_of_order": 1}
    summary = summarise(run.records)
    assert (summary.frames_in, summary.masks_out, summary.lost) == (5, 4, 1)
    assert summary.benchmark["FIRST_SENT_RECEIVED_LATENCY"] == pytest.approx(20)
    assert [record.shares.index(1.0) for record in run.records if record.shares] == [0, 2, 0, 1]
    assert run.labelled == 1


def test_a_recording_played_in_a_loop(tmp_path):
    stamps = [stamp_of(n) for n in (0, 1, 2, 0, 1, 2)]
    sent = [Sent(stamp, WALL + 100 * MS * n, "") for n, stamp in enumerate(stamps)]
    images = [(entry.stamp_ns, entry.sent_ns + MS) for entry in sent]
    # In the first turn frame 1 is lost; in the second, all are answered after 30 ms.
    masks = [(sent[n].stamp_ns, sent[n].sent_ns + 30 * MS, n % 3) for n in (0, 2, 3, 4, 5)]
    write(tmp_path / "bag", images, masks)
    run, odd = read_recording(tmp_path / "bag", TOPICS, CARD, sent=sent)
    assert [record.lost for record in run.records] == [False, True, False, False, False, False]
    assert odd == {"duplicates": 0, "out_of_order": 0}
    assert [record.latency_ms for record in run.records if not record.lost] == pytest.approx([30] * 5)
    assert run.breaks == {"the stamps jump back": 1}


def test_images_the_recorder_did_not_get_are_still_sent_frames(tmp_path):
    sent = [Sent(stamp_of(n), WALL + 100 * MS * n, "") for n in range(3)]
    images = [(sent[n].stamp_ns, sent[n].sent_ns) for n in (0, 2)]
    write(tmp_path / "bag", images, [(entry.stamp_ns, entry.sent_ns + MS, 0) for entry in sent])
    run, _ = read_recording(tmp_path / "bag", TOPICS, CARD, sent=sent)
    assert len(run.records) == 3 and not any(record.lost for record in run.records)
    assert [bool(record.shares) for record in run.records] == [True, False, True]


def test_each_loss_has_its_place():
    """Of ten frames, 1 never came to the node, 3 gave way there, and 5's mask was lost on its way to the recorder."""
    sent = [Sent(stamp_of(n), WALL + 100 * MS * n, "") for n in range(10)]
    for n in (0, 2, 4, 5, 6, 7):
        sent[n].timing = SimpleNamespace(
            received=n + (n == 0), processed=[0, 2, 4, 5, 6, 7].index(n) + 1, dropped=int(n > 3), failed=0
        )
        sent[n].mask_ns = None if n == 5 else sent[n].sent_ns + MS
    stages = Stages.of(sent, published=10, images=9)
    assert vars(stages) == {
        "published": 10,
        "received": 7,
        "segmented": 6,
        "replaced": 1,
        "failed": 0,
        "masks": 5,
        "images": 9,
        "untold": 2,
    }
    assert stages.losses() == [
        "1 frame published and not received by the node",
        "1 frame replaced by a newer one in the node, before their turn",
        "1 mask published by the node and not recorded",
        "1 image published and not recorded: there is no picture of them",
        "the node reports nothing on the last 2 frames",
    ]


def test_a_run_without_losses_has_nothing_to_tell():
    sent = [Sent(stamp_of(n), WALL, "", WALL) for n in range(3)]
    for n, frame in enumerate(sent):
        frame.timing = SimpleNamespace(received=n + 1, processed=n + 1, dropped=0, failed=0)
    assert Stages.of(sent, published=3, images=3).losses() == []
    assert Stages.of(sent[:0], published=0, images=0).losses() == []


def test_each_eye_has_its_own_mask(tmp_path):
    """Stamped alike: only the frame id tells which is which."""
    sent, entries = [], []
    for n in range(3):
        for eye, at in (("left", 0), ("right", 1)):
            sent.append(Sent(stamp_of(n), WALL + 100 * MS * n + at, eye))
            entries.append(
                (WALL + (100 * n + 1) * MS + at, "/image", messages.picture(picture(n), stamp_of(n), eye))
            )
            # The right eye's masks come first.
            entries.append(
                (WALL + (100 * n + 30) * MS - at, "/mask", messages.picture(mask(at), stamp_of(n), eye))
            )
            entries.append(
                (WALL + (100 * n + 50) * MS, "/label", messages.picture(mask(at), stamp_of(n), eye))
            )
    with BagWriter(tmp_path / "bag") as bag:
        for log, topic, message in sorted(entries, key=lambda entry: entry[0]):
            bag.write(topic, messages.IMAGE, log, message)
    run, odd = read_recording(tmp_path / "bag", TOPICS, CARD, sent=sent)
    assert [record.shares.index(1.0) for record in run.records] == [0, 1] * 3
    assert odd["duplicates"] == 0 and run.confusion.pixel_accuracy == 1.0


def test_without_a_log_the_stamps_say_when(tmp_path):
    images = [(WALL + 50 * MS * n, WALL + 50 * MS * n + MS) for n in range(3)]
    write(tmp_path / "bag", images, [(stamp, stamp + 12 * MS, 0) for stamp, _ in images])
    sent = sent_as_recorded(tmp_path / "bag", TOPICS)
    run, _ = read_recording(tmp_path / "bag", TOPICS, CARD, sent=sent)
    assert [record.latency_ms for record in run.records] == pytest.approx([12] * 3)


def test_a_recording_without_images(tmp_path):
    bags.write_ros2(tmp_path / "bag", [("/text", "std_msgs/msg/String", 1, bags.string("hello"))])
    with pytest.raises(DcfmError, match="holds no images on /image"):
        read_recording(tmp_path / "bag", TOPICS, CARD, sent=sent_as_recorded(tmp_path / "bag", TOPICS))


def test_the_log_of_a_player_that_was_killed(tmp_path):
    (tmp_path / "sent.csv").write_text('1,10,"a,b"\n2,20,""\n3')
    assert read_sent(tmp_path / "sent.csv") == [Sent(1, 10, "a,b"), Sent(2, 20, "")]


def test_load_has_mean_and_peak():
    samples = [LoadSample(0.5, 50.0, 100.0), LoadSample(1.0, 150.0, 120.0)]
    numbers = load_json(samples)
    assert (numbers["MEAN_CPU_UTILIZATION"], numbers["MAX_CPU_UTILIZATION"]) == (100.0, 150.0)
    assert (numbers["mean_memory_mb"], numbers["max_memory_mb"]) == (110.0, 120.0)
    assert load_json([]) == {}
