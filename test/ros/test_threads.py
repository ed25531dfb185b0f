"""What a long life of pauses and new parameters leaves behind: no threads."""

import os

from rclpy.parameter import Parameter
from ros_graph import image, picture, stamp_of
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool


def threads():
    return len(os.listdir("/proc/self/task"))


def test_pauses_and_parameters_leave_no_threads(graph):
    node = graph.node(mode="background", threads=2, input_reliability="reliable", input_depth=10)
    camera, masks = graph.probe.camera(), graph.probe.listen(Image, "segmentation/mask")
    graph.ready(node, masks)
    settled = 0
    for cycle in range(8):
        for on in (False, True):
            graph.probe.call(SetBool, "dcfm/enable", SetBool.Request(data=on))
        node.set_parameters([Parameter("key_interval", value=2 + cycle)])
        graph.probe.matched(camera)
        for i in (3 * cycle, 3 * cycle + 1, 3 * cycle + 2):
            camera.publish(image(picture(i), stamp_of(i)))
            masks.wait_for(stamp_of(i))
        if cycle == 1:
            settled = threads()
    graph.probe.until(lambda: threads() <= settled + 2, lambda: f"{threads()} threads to become {settled}")
