"""points.launch.py: the node that it starts has the topics and parameters that were asked for."""

import rclpy


def test_arguments_reach_the_node(launched):
    rclpy.init(args=[])
    node = rclpy.create_node("listener")
    launch = launched(
        "points.launch.py",
        *(
            "namespace:=robot",
            "source:=depth",
            "depth:=/tof/depth",
            "image:=/front/image_raw",
            "classes:=[car, road]",
        ),
    )
    wanted = {"/robot/segmentation/points", "/diagnostics"}

    def there():
        here = ("dcfm_points", "/robot") in node.get_node_names_and_namespaces()
        return here and wanted <= {
            topic for topic, _ in node.get_publisher_names_and_types_by_node("dcfm_points", "/robot")
        }

    launch.until(there, f"dcfm_points with {wanted}")
    launch.interrupt()
    assert launch.children() == [] and "Traceback" not in launch.output
    node.destroy_node()
    rclpy.shutdown()
