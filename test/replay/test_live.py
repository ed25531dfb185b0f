"""A recording through DDS into the real node, in processes of their own."""

import json
import math

import bags
import numpy as np
import pytest
from bags import stamp_of

from dcfm_ros import cli
from dcfm_ros.media.bags import Bag, stamp_ns
from dcfm_ros.replay import sinks

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(400)]
# Every frame, so that none is missing in the comparison; a robot would rather have the newest.
EVERY_FRAME = ["--set", "input_reliability:=reliable", "--set", "input_depth:=100"]
OPTIONS = [
    "--engine",
    "torch",
    "--no-video",
    "--labels",
    "/label",
    "--key-interval",
    "4",
    "--key-period-ms",
    "0",
]


@pytest.fixture(scope="module")
def weights(random_weights):
    return str(random_weights(2, input_size=(96, 64)))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Twelve frames of a pattern that moves, at 10 Hz, with labels."""
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (24, 64, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    entries = []
    for index in range(12):
        stamp = stamp_of(index)
        rgb = np.ascontiguousarray(scene[:64, 5 * index : 5 * index + 96])
        label = np.full(rgb.shape[:2], index % 3, np.uint8)
        entries.append(("/image", bags.IMAGE, stamp, bags.image(rgb, stamp)))
        entries.append(("/label", bags.IMAGE, stamp, bags.image(label, stamp, encoding="mono8")))
    return str(bags.write_ros2(tmp_path_factory.mktemp("recording") / "bag", entries))


def masks_of(bag, topic):
    return [
        (stamp_ns(message), np.asarray(message.data).reshape(message.height, message.width))
        for _, _, message in bag.messages(topic)
    ]


def test_offline_equals_live_mask_for_mask(tmp_path, recording, weights):
    """Inline, with every frame: the network, the triggers and the node's conversions do what replay does."""
    common = [recording, "--weights", weights, *OPTIONS]
    assert cli.main(["replay", *common, "-o", str(tmp_path / "offline")]) == 0
    live = ["--live", "--mode", "inline", *EVERY_FRAME]
    assert cli.main(["replay", *common, "-o", str(tmp_path / "live"), *live]) == 0
    offline = masks_of(Bag(tmp_path / "offline" / "bag"), sinks.MASK)
    online = masks_of(Bag(tmp_path / "live" / "bag"), "/dcfm_replay/segmentation/mask")
    assert (
        [stamp for stamp, _ in offline] == [stamp for stamp, _ in online] == [stamp_of(i) for i in range(12)]
    )
    for (_, wanted), (_, found) in zip(offline, online, strict=True):
        assert (wanted == found).all()
    assert len({mask.tobytes() for _, mask in offline}) > 1
    one, two = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("offline", "live"))
    assert one["accuracy"] == two["accuracy"]
    assert one["settings"]["Engine"] == two["settings"]["Engine"], "as the node itself tells it"
    assert one["summary"]["key_frames"] == two["summary"]["key_frames"]
    assert (two["summary"]["lost"], two["duplicates"], two["out_of_order"]) == (0, 0, 0)
    assert set(one["metrics"]) <= set(two["metrics"])


def test_simulated_time_in_a_loop(tmp_path, recording, weights):
    live = ["--live", "--sim-time", "--loop", "2", "--set", "mode:=inline", *EVERY_FRAME]
    options = [recording, "-o", str(tmp_path / "out"), "--weights", weights, *OPTIONS, *live]
    assert cli.main(["replay", *options]) == 0
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["summary"]["frames_in"] == 24 and numbers["summary"]["lost"] == 0
    assert numbers["notes"] == ["1 break in the stream: the stamps jump back"]
    assert numbers["summary"]["key_frames"]["reset"] == 1
    timings = [
        message for _, _, message in Bag(tmp_path / "out" / "bag").messages("/dcfm_replay/dcfm/timing")
    ]
    # The node measures from the recorded stamps, years ago: only by simulated time this is a latency.
    latencies = [timing.latency_ms for timing in timings]
    assert len(latencies) == 24 and all(0 <= each < 5000 for each in latencies if not math.isnan(each))
    # Where a frame of the first turn is still in work when the clock jumps back, nothing can be measured.
    unknown = [index for index, each in enumerate(latencies) if math.isnan(each)]
    assert unknown == list(range(12))[12 - len(unknown) :] and len(unknown) < 12
    assert numbers["metrics"].get("max_memory_mb", 100) > 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({0: "nothing"}, "nothing does not exist"),
        ({"--labels": "/nowhere"}, "/nowhere"),
        ({"--topic": "/nowhere"}, "/nowhere"),
    ],
    ids=["input", "labels", "topic"],
)
def test_what_cannot_be_played_costs_no_former_report(tmp_path, recording, weights, capsys, change, words):
    given = {0: recording, "--weights": weights, "--topic": "/image", "--labels": "/label"} | change
    options = [word for name, value in given.items() for word in ((name, value) if name else (value,))]
    assert cli.main(["replay", *options, "-o", str(tmp_path / "out"), "--live", "--force"]) == 2
    error = capsys.readouterr().err
    assert words in error and "starting" not in error
    assert not (tmp_path / "out").exists()


def test_images_that_cannot_be_played_are_told_and_fail_the_run(tmp_path, weights, capsys):
    entries = [
        ("/image", bags.IMAGE, stamp_of(i), bags.image(bags.picture(i), stamp_of(i))) for i in range(6)
    ]
    entries[2] = (*entries[2][:3], bags.image(bags.picture(2), stamp_of(2), encoding="martian"))
    path = str(bags.write_ros2(tmp_path / "in", entries))
    options = [
        path,
        "-o",
        str(tmp_path / "out"),
        "--weights",
        weights,
        "--live",
        "--mode",
        "inline",
        *EVERY_FRAME,
    ]
    assert cli.main(["replay", *options, "--engine", "torch", "--no-video"]) == 2
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["summary"]["frames_in"] == 5
    assert any(note.startswith("1 image not used: ") and "martian" in note for note in numbers["notes"])
    assert "1 image not used: " in capsys.readouterr().out


def test_labels_whose_stamps_were_rounded_are_told(tmp_path, weights):
    """As offline: see `test_labels.py`."""
    entries = []
    for i in range(4):
        entries.append(("/image", bags.IMAGE, stamp_of(i), bags.image(bags.picture(i), stamp_of(i))))
        label = bags.image(np.zeros((48, 64), np.uint8), stamp_of(i) + 400, encoding="mono8")
        entries.append(("/label", bags.IMAGE, stamp_of(i) + 1, label))
    given = ["--topic", "/image", "--labels", "/label", "--weights", weights, "--no-video"]
    path = str(bags.write_ros2(tmp_path / "in", entries))
    assert cli.main(["replay", path, "-o", str(tmp_path / "out"), *given, "--live", *EVERY_FRAME]) == 0
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["notes"] == ["4 labels used for the nearest frame: stamps are up to 0.4 µs off"]
    assert numbers["accuracy"]["labelled_frames"] == 4


def test_labels_that_cannot_be_read_are_counted(tmp_path, recording, weights):
    """As offline: the frames are played all the same."""
    labels = tmp_path / "labels"
    labels.mkdir()
    for index in range(12):
        (labels / f"{index:06d}.png").write_bytes(b"no picture" if index else b"")
    given = ["--topic", "/image", "--labels", str(labels), "--weights", weights, "--no-video"]
    options = [recording, "-o", str(tmp_path / "out"), *given, "--live", "--frames", "4", *EVERY_FRAME]
    assert cli.main(["replay", *options]) == 0
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    assert numbers["summary"]["masks_out"] == 4
    # One is empty, three are no pictures.
    words = f"not used: A label image of {labels} is unreadable: it"
    assert [note.partition(words)[0] for note in numbers["notes"]] == ["1 label ", "3 labels "]
