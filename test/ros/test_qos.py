"""Whatever the camera and the reader offer and ask for, images come in and masks go out."""

import pytest
from ros_graph import image, picture, qos, stamp_of
from sensor_msgs.msg import Image

RELIABILITIES = ("best_effort", "reliable")


@pytest.mark.parametrize("reader", RELIABILITIES)
@pytest.mark.parametrize("camera", RELIABILITIES)
def test_both_kinds_of_camera_and_reader_are_served(graph, camera, reader):
    node = graph.node()
    images = graph.probe.camera(profile=qos(camera))
    masks = graph.probe.listen(Image, "segmentation/mask", qos(reader))
    graph.probe.matched(images)
    graph.ready(node, masks)
    # Best effort may lose a message. It may not lose all of them.
    for i in range(1000):
        images.publish(image(picture(), stamp_of(i)))
        with graph.probe.changed:
            if graph.probe.changed.wait_for(lambda: masks.messages, 0.5):
                break
    assert masks.messages
    assert "qos" not in graph.probe.status("input").message.lower()


def test_a_reliable_node_gets_every_frame_of_a_reliable_camera(graph):
    camera, masks = graph.segmenting(input_reliability="reliable", input_depth=50)
    for i in range(40):
        camera.publish(image(picture(i), stamp_of(i)))
    masks.wait_for(stamp_of(39))
    assert masks.stamps == [stamp_of(i) for i in range(40)]


def test_a_best_effort_camera_of_a_reliable_node_is_told_in_the_diagnostics(graph):
    graph.node(input_reliability="reliable")
    graph.probe.camera(profile=qos("best_effort"))
    status = graph.probe.status("input", lambda s: "QoS" in s.message, "about QoS")
    assert status.level == b"\x02"
    assert "input_reliability=reliable" in status.message and "best_effort" in status.message
