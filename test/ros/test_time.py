"""Stamps that jump, stand still, repeat or are missing."""

import math

import numpy as np
import pytest
from ros_graph import MASKS, TIMINGS, image, picture, pixels_of, qos, stamp_ns, stamp_of
from rosgraph_msgs.msg import Clock

from dcfm_ros.stamps import to_ns


@pytest.fixture
def timed(graph):
    """Starts a node and returns (camera, masks, timings), everything connected."""

    def start(**parameters):
        return graph.segmenting(MASKS, TIMINGS, key_period_ms=0.0, motion_threshold=0.0, **parameters)

    return start


def send(camera, timings, stamps, size=(160, 96)):
    for stamp in stamps:
        count = len(timings.messages)
        camera.publish(image(picture(size=size), stamp))
        timings.wait(count + 1)


def test_a_looping_bag_resets_the_stream(timed):
    camera, masks, timings = timed()
    send(camera, timings, [stamp_of(i) for i in (10, 11, 12, 0, 1)])
    assert [t.trigger for t in timings.messages] == ["first", "", "", "reset", ""]
    assert [t.age_frames for t in timings.messages] == [0, 1, 2, 0, 1]
    assert [stamp_ns_of_key(t) for t in timings.messages] == [stamp_of(i) for i in (10, 10, 10, 0, 0)]
    assert masks.stamps == [stamp_of(i) for i in (10, 11, 12, 0, 1)]


def test_a_jump_ahead_makes_the_common_feature_too_old(timed):
    camera, _, timings = timed(max_age_ms=3000.0)
    send(camera, timings, [stamp_of(0), stamp_of(1), stamp_of(100)])
    assert [t.trigger for t in timings.messages] == ["first", "", "max_age"]
    assert not timings.messages[-1].stale, "inline, the frame has a fresh one at once"


def test_another_image_size_resets_the_stream(timed):
    camera, masks, timings = timed()
    send(camera, timings, [stamp_of(0), stamp_of(1)])
    send(camera, timings, [stamp_of(2)], size=(200, 120))
    assert [t.trigger for t in timings.messages] == ["first", "", "reset"]
    assert [(m.width, m.height) for m in masks.messages] == [(160, 96), (160, 96), (200, 120)]


def test_images_without_a_stamp_get_masks_without_a_stamp(timed, graph):
    camera, masks, timings = timed(max_age_ms=1e12)
    send(camera, timings, [0, 0, 0])
    assert masks.stamps == [0, 0, 0]
    assert [t.trigger for t in timings.messages] == ["first", "", ""]
    assert [t.age_frames for t in timings.messages] == [0, 1, 2]
    assert timings.messages[2].age_ms > timings.messages[1].age_ms > 0, "the time of arrival counts"
    assert all(math.isnan(t.latency_ms) for t in timings.messages), "there is nothing to measure it from"
    history = graph.probe.history
    graph.probe.until(lambda: any("no stamp" in s.message for s in history), "a warning of missing stamps")


def test_the_same_frame_twice_gets_one_mask(timed):
    camera, masks, timings = timed(input_reliability="reliable", input_depth=20)
    for stamp in (stamp_of(0), stamp_of(0), stamp_of(1), stamp_of(1), stamp_of(1), stamp_of(2)):
        camera.publish(image(picture(), stamp))
    timings.wait_for(stamp_of(2))
    assert masks.stamps == [stamp_of(0), stamp_of(1), stamp_of(2)]
    last = timings.messages[-1]
    assert (last.received, last.processed, last.dropped) == (6, 3, 3)


def test_two_cameras_on_one_topic_may_share_a_stamp(timed):
    camera, masks, _ = timed(input_reliability="reliable", input_depth=20)
    for frame_id in ("left", "right"):
        camera.publish(image(picture(), stamp_of(0), frame_id=frame_id))
    masks.wait(2)
    assert [m.header.frame_id for m in masks.messages] == ["left", "right"]


def test_two_eyes_on_one_topic_have_streams_of_their_own(timed):
    """A stereo driver that stamps both alike, and both with frames that are no key frames."""
    camera, masks, timings = timed(input_reliability="reliable", input_depth=20)
    for i in range(3):
        for side, frame_id in enumerate(("left", "right")):
            camera.publish(image(picture(i + 40 * side), stamp_of(i), frame_id=frame_id))
    masks.wait(6)
    timings.wait(6)
    both = [
        np.array_equal(pixels_of(a), pixels_of(b)) for a, b in zip(masks.messages[::2], masks.messages[1::2])
    ]
    assert not any(both)
    assert [t.age_frames for t in timings.messages] == [0, 0, 1, 1, 2, 2]
    assert [t.trigger for t in timings.messages] == ["first", "reset", "", "", "", ""]


def test_stamps_that_stand_still_are_an_error_of_the_camera(timed, graph):
    camera, masks, timings = timed(input_reliability="reliable", input_depth=20)
    for i in range(5):
        camera.publish(image(picture(i), stamp_of(0)))
    masks.wait(5)
    assert masks.stamps == [stamp_of(0)] * 5
    ages = [t.age_ms for t in timings.wait(5)]
    assert ages == sorted(ages) and ages[4] > ages[0] == 0
    status = graph.probe.status("input", lambda s: "stand still" in s.message, "about the stamps")
    assert status.level == b"\x02" and " of " in status.message


def test_a_paused_clock_is_no_error(timed, graph):
    camera, masks, timings = timed(use_sim_time=True, input_timeout_s=0.2)
    clock = graph.probe.create_publisher(Clock, "/clock", qos())
    graph.probe.matched(clock)
    now = Clock()
    now.clock.sec, now.clock.nanosec = divmod(stamp_of(0), 10**9)
    clock.publish(now)
    send(camera, timings, [stamp_of(0)])
    status = graph.probe.status("input", lambda s: "stands still" in s.message, "about the clock")
    assert status.level == b"\x00"
    assert masks.stamps == [stamp_of(0)]


def test_simulated_time_that_nobody_tells_is_a_warning_and_silence_an_error(timed, graph):
    camera, _, timings = timed(use_sim_time=True, input_timeout_s=1.0)
    send(camera, timings, [stamp_of(0)])
    status = graph.probe.status("input", lambda s: "/clock" in s.message, "about the clock")
    assert status.level == b"\x01"
    status = graph.probe.status("input", lambda s: "no image for" in s.message, "about silence")
    assert status.level == b"\x02"


def test_silence_is_an_error_while_time_goes_on(timed, graph):
    camera, _, timings = timed(input_timeout_s=0.2)
    send(camera, timings, [stamp_of(0)])
    status = graph.probe.status("input", lambda s: "no image for" in s.message, "about silence")
    assert status.level == b"\x02"


def stamp_ns_of_key(timing):
    return to_ns(timing.key_stamp)


def test_headers_come_back_in_the_order_of_arrival(timed):
    """An older frame close behind a newer one gets its mask, with the newest common feature; it is no jump back."""
    camera, masks, timings = timed()
    stamps = [stamp_of(i) for i in (1, 4, 2, 3, 5)]
    send(camera, timings, stamps)
    assert [stamp_ns(m.header) for m in masks.messages] == stamps
    assert [t.trigger for t in timings.messages] == ["first", "", "", "", ""]
