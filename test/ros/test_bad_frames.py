"""Bad frames are counted, reported with their reason and skipped; good ones go on."""

import numpy as np
import pytest
from ros_graph import image, picture, raw_image, stamp_of
from sensor_msgs.msg import CompressedImage, Image

W, H = 160, 96
WHOLE = bytes(3 * W * H)
BAD = {
    "unknown encoding": (("rgb565", H, W, 2 * W, bytes(2 * W * H)), ["unknown image encoding", "rgb565"]),
    "no encoding": (("", H, W, 3 * W, WHOLE), ["unknown image encoding", "''"]),
    "too few bytes": (("rgb8", H, W, 3 * W, WHOLE[:-1]), [str(3 * W * H - 1), "expected"]),
    "too many bytes": (("rgb8", H, W, 3 * W, WHOLE + b"1"), [str(3 * W * H + 1), "expected"]),
    "no bytes": (("rgb8", H, W, 3 * W, b""), ["0 bytes"]),
    "zero size": (("rgb8", 0, 0, 0, b""), ["size 0×0"]),
    "zero height": (("rgb8", 0, W, 3 * W, b""), [f"size {W}×0"]),
    "absurd size": (("rgb8", 2**31, 2**31, 2**31, WHOLE), [str(2**31)]),
    "absurd width": (("mono8", 1, 100_000, 100_000, bytes(100_000)), ["100000"]),
    "short step": (("rgb8", H, W, W, bytes(W * H)), ["step"]),
    "odd size": (("nv12", 3, 5, 5, bytes(22)), ["multiple of 2"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_reported_and_the_next_one_gets_its_mask(graph, name):
    fields, words = BAD[name]
    camera, masks = graph.segmenting()
    camera.publish(image(picture(0), stamp_of(0)))
    masks.wait_for(stamp_of(0))
    camera.publish(raw_image(*fields, stamp=stamp_of(1)))
    status = graph.probe.status("input", lambda s: "unusable" in s.message, "about the bad frame")
    assert status.level in (b"\x01", b"\x02")
    for word in words:
        assert word in status.message
    values = {entry.key: entry.value for entry in status.values}
    assert (values["received"], values["failed"]) == ("2", "1")
    camera.publish(image(picture(2), stamp_of(2)))
    masks.wait_for(stamp_of(2))
    assert masks.stamps == [stamp_of(0), stamp_of(2)]


def test_many_bad_frames_are_counted_one_by_one(graph):
    camera, masks = graph.segmenting(input_reliability="reliable", input_depth=100)
    for i in range(30):
        bad = raw_image("rgb565", H, W, 2 * W, bytes(2 * W * H), stamp_of(i))
        camera.publish(image(picture(i), stamp_of(i)) if i % 3 == 0 else bad)
    masks.wait_for(stamp_of(27))
    assert masks.stamps == [stamp_of(i) for i in range(0, 30, 3)]

    def failed(status):
        return {entry.key: entry.value for entry in status.values}.get("failed") == "20"

    graph.probe.status("input", failed, "20 failed frames")


def test_a_bad_compressed_frame_is_reported(graph):
    node = graph.node(transport="compressed")
    camera = graph.probe.camera("image/compressed", CompressedImage)
    masks = graph.probe.listen(Image, "segmentation/mask")
    graph.probe.matched(camera)
    graph.ready(node, masks)
    message = CompressedImage(format="jpeg", data=np.frombuffer(b"no picture at all", np.uint8).tolist())
    message.header = image(picture(), stamp_of(0)).header
    camera.publish(message)
    status = graph.probe.status("input", lambda s: "unusable" in s.message, "about the bad frame")
    assert "does not decode" in status.message
    assert masks.messages == []


def test_bad_frames_are_diagnosed_even_while_nobody_wants_masks(graph):
    graph.node()
    camera = graph.probe.camera()
    graph.probe.matched(camera)
    camera.publish(raw_image("rgb565", H, W, 2 * W, bytes(2 * W * H)))
    status = graph.probe.status("input", lambda s: "unusable" in s.message, "about the bad frame")
    assert "rgb565" in status.message
