"""dcfm.launch.py: the node that it starts has the name, topics, parameters and environment that were asked for."""

import importlib.util
import os
import threading
from pathlib import Path

import pytest
import rclpy
import yaml
from ament_index_python.packages import get_package_share_directory
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python

from dcfm_ros.errors import DcfmError
from dcfm_ros.node.arguments import parameter_arguments
from dcfm_ros.node.fast_dds import VARIABLES, profile_variable

SHARE = Path(get_package_share_directory("dcfm_ros"))
PROFILE = profile_variable(os.environ)
NO_PROFILE = dict.fromkeys(VARIABLES)


@pytest.fixture
def listener():
    """A node that looks at the graph."""
    rclpy.init(args=[])
    node = rclpy.create_node("listener")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown()
    thread.join()
    rclpy.shutdown()


def topics_of(node, name, namespace):
    subscribed = {topic for topic, _ in node.get_subscriber_names_and_types_by_node(name, namespace)}
    published = {topic for topic, _ in node.get_publisher_names_and_types_by_node(name, namespace)}
    return subscribed, published


def parameters_of(node, launch, full_name, names):
    client = node.create_client(GetParameters, f"{full_name}/get_parameters")
    launch.until(client.service_is_ready, "parameter service")
    future = client.call_async(GetParameters.Request(names=names))
    launch.until(future.done, "parameters")
    return dict(zip(names, map(parameter_value_to_python, future.result().values), strict=True))


def environment_of(launch):
    """The environment of the one process that was launched."""
    (pid,) = launch.children()
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def test_arguments_reach_the_node(launched, weights, listener):
    launch = launched(
        "dcfm.launch.py",
        *("name:=eyes", "namespace:=robot", "odom:=/wheels/odom", "use_sim_time:=true"),
        *(f"weights:={weights}", "image_topics:=/front/image_raw", "odometry_distance_m:=2", "threads:=1"),
        environment=NO_PROFILE,
    )

    wanted = {"/front/image_raw", "/front/camera_info", "/wheels/odom"}

    def listens():
        here = ("eyes", "/robot") in listener.get_node_names_and_namespaces()
        return here and wanted <= topics_of(listener, "eyes", "/robot")[0]

    launch.until(listens, f"node /robot/eyes that reads {wanted}")
    published = topics_of(listener, "eyes", "/robot")[1]
    assert {"/robot/segmentation/mask", "/robot/eyes/timing"} <= published
    wanted = {"use_sim_time": True, "odometry_distance_m": 2.0, "threads": 1, "key_period_ms": 1000.0}
    assert parameters_of(listener, launch, "/robot/eyes", list(wanted)) == wanted
    assert environment_of(launch)[PROFILE] == str(SHARE / "config" / "fastdds.xml")
    launch.interrupt()
    assert launch.children() == []
    assert "Traceback" not in launch.output


def test_arguments_go_before_the_parameters_file_and_the_profile_can_be_switched_off(
    launched, weights, listener, tmp_path
):
    file = tmp_path / "mine.yaml"
    values = {"weights": str(weights), "key_interval": 7, "overlay_alpha": 0.25}
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    launch = launched(
        "dcfm.launch.py",
        *(f"params_file:={file}", "overlay_alpha:=0.75", "fastdds_profile:=", "autostart:=false"),
        environment=NO_PROFILE,
    )
    wanted = {"key_interval": 7, "overlay_alpha": 0.75, "autostart": False, "use_sim_time": False}
    assert parameters_of(listener, launch, "/dcfm", list(wanted)) == wanted
    assert not set(VARIABLES) & set(environment_of(launch))
    launch.interrupt()
    assert launch.children() == []


def test_a_profile_of_the_users_own_stays(launched, weights, tmp_path):
    profile = tmp_path / "mine.xml"
    profile.write_text((SHARE / "config" / "fastdds.xml").read_text())
    launch = launched("dcfm.launch.py", f"weights:={weights}", environment={PROFILE: str(profile)})
    launch.until(launch.children, "node")
    assert environment_of(launch)[PROFILE] == str(profile)


def test_what_is_not_a_value_of_the_parameter_ends_the_launch(launched):
    launch = launched("dcfm.launch.py", "threads:=many")
    assert launch.process.wait(60) != 0
    assert "threads is 'many'; expected a whole number from 0 to 256" in launch.output


def test_a_parameters_file_that_is_not_there_ends_the_launch(launched):
    launch = launched("dcfm.launch.py", "params_file:=nowhere.yaml")
    assert launch.process.wait(60) != 0
    assert "params_file 'nowhere.yaml' does not exist" in launch.output


@pytest.mark.parametrize("name", ["rviz", "respawn", "use_sim_time"])
def test_what_is_neither_true_nor_false_is_refused(started, name):
    with pytest.raises(DcfmError, match=f"{name} is 'ture'; expected true or false"):
        started("dcfm.launch.py", **{name: "ture"})


def test_every_parameter_is_an_argument_with_its_default(description):
    declared = {
        action.name: action
        for action in description("dcfm.launch.py").generate_launch_description().entities
        if hasattr(action, "default_value")
    }
    for name, (default, text) in parameter_arguments().items():
        shown = "".join(part.text for part in declared[name].default_value)
        assert (shown, declared[name].description) == (default, text)
    assert set(description("dcfm.launch.py").ARGUMENTS) <= set(declared)


def topics_in(rviz):
    """What rviz was told to show: display -> topic."""
    config = yaml.safe_load(Path(rviz._Node__arguments[1]).read_text())
    return {each["Name"]: each["Topic"]["Value"] for each in config["Visualization Manager"]["Displays"]}


def test_rviz_shows_the_camera_of_the_namespace(started):
    (*_, rviz), _ = started("dcfm.launch.py", rviz="true", namespace="robot", image_topics="camera/image")
    assert topics_in(rviz) == {
        "Overlay": "/robot/segmentation/overlay",
        "Camera": "/robot/camera/image",
        "Mask (class ids)": "/robot/segmentation/mask",
    }


def test_rviz_shows_every_camera_that_the_parameters_file_names(started, tmp_path):
    file = tmp_path / "mine.yaml"
    values = {"image_topics": ["/front/image", "/rear/image"], "transport": "compressed"}
    file.write_text(yaml.safe_dump({"/robot/*": {"ros__parameters": values}}))
    (*_, rviz), _ = started("dcfm.launch.py", rviz="true", namespace="robot", params_file=str(file))
    assert topics_in(rviz) == {
        f"{kind} {name}": f"/{name}/{topic}"
        for name in ("front", "rear")
        for kind, topic in [
            ("Overlay", "segmentation/overlay"),
            ("Camera", "image/compressed"),
            ("Mask (class ids)", "segmentation/mask"),
        ]
    }


def test_the_example_with_two_cameras_hands_both_topics_on():
    from launch import LaunchContext
    from launch.actions import IncludeLaunchDescription

    path = Path(__file__).resolve().parents[2] / "examples" / "two_cameras.launch.py"
    if not path.is_file():
        pytest.skip("needs the source tree")
    spec = importlib.util.spec_from_file_location("two_cameras", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    entities = module.generate_launch_description().entities
    for entity in entities:
        if not isinstance(entity, IncludeLaunchDescription):
            entity.execute(context)
    (include,) = (entity for entity in entities if isinstance(entity, IncludeLaunchDescription))
    arguments = {
        name: "".join(part if isinstance(part, str) else part.perform(context) for part in value)
        for name, value in include.launch_arguments
    }
    assert arguments["image_topics"] == "[/front/image_raw, /rear/image_raw]"
    assert include.launch_description_source.get_launch_description(context) is not None
