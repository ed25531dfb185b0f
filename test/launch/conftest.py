"""What the launch tests share: launch files run in a process of their own, as `ros2 launch` runs them."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 90.0  # on a machine that is busy with something else

# `ros2 launch` without the ros2 command, which not every installation of launch_ros has. As that one does where no terminal
# sends Ctrl-C to all processes at once, it hands the signal on.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *arguments = sys.argv[1:]
arguments = [tuple(argument.split(":=", 1)) for argument in arguments]
service = LaunchService(argv=sys.argv[2:], noninteractive=True)
service.include_launch_description(
    LaunchDescription(
        [IncludeLaunchDescription(PythonLaunchDescriptionSource(path), launch_arguments=arguments)]
    )
)
sys.exit(service.run())
"""


class Launched:
    """A launch file at work. `environment` adds to this process's; None takes a variable away."""

    def __init__(self, log, name, *arguments, environment=None):
        from ament_index_python.packages import get_package_share_directory

        path = Path(get_package_share_directory("dcfm_ros")) / "launch" / name
        changed = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(path), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={key: value for key, value in changed.items() if value is not None},
                start_new_session=True,
            )

    @property
    def output(self):
        return self.log.read_text(errors="replace")

    def children(self):
        """Process ids of everything that the launch file has started and that still runs."""
        running = [process.info for process in psutil.process_iter(["pid", "ppid", "status"])]
        return [
            info["pid"]
            for info in running
            if info["ppid"] == self.process.pid and info["status"] != psutil.STATUS_ZOMBIE
        ]

    def until(self, holds, what):
        """Poll until `holds()` is true; its value."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            assert self.process.poll() is None, f"ended while waiting for {what}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {what}:\n{self.output}"
            time.sleep(0.05)
        return value

    def interrupt(self):
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)

    def close(self):
        """Leave nothing behind, whatever has happened."""
        for pid in [*self.children(), self.process.pid]:
            if self.process.poll() is None or pid != self.process.pid:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def launched(tmp_path):
    """Start a launch file: `launched("dcfm.launch.py", "name:=x", environment={})`."""
    running = []

    def start(name, *arguments, environment=None):
        running.append(Launched(tmp_path / f"log{len(running)}", name, *arguments, environment=environment))
        return running[-1]

    yield start
    for launch in running:
        launch.close()


@pytest.fixture(scope="session")
def description():
    """A launch file as a module: `description("dcfm.launch.py")`."""
    from ament_index_python.packages import get_package_share_directory

    def load(name):
        path = Path(get_package_share_directory("dcfm_ros")) / "launch" / name
        spec = importlib.util.spec_from_file_location(name.removesuffix(".launch.py"), path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def started(description):
    """What a launch file starts, and the context to look into it: `started("demo.launch.py", rviz="true")`."""
    from launch import LaunchContext

    def start(name, **arguments):
        context = LaunchContext()
        context.launch_configurations.update(arguments)
        entities = description(name).generate_launch_description().entities
        return [action for entity in entities for action in entity.execute(context) or []], context

    return start


@pytest.fixture(scope="session")
def weights(random_weights):
    """A small random model."""
    return random_weights(3, name="random", input_size=(96, 64), licence="test")
