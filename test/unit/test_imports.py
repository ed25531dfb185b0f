"""Imports go one way, floor by floor; no files import each other in a circle; ROS stays in node."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dcfm_ros

PUBLIC = set(dcfm_ros.__all__)
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "dcfm_ros"
# From the ground up: a room may import from the floors below its own, never from another room on the same floor.
FLOORS = (
    {"errors", "requirements", "strict_yaml", "version"},
    {"share", "arrays", "config", "files", "interrupts", "stamps"},
    {"cache", "measure", "space", "street"},
    {"model", "dcfm_lab.measure"},
    {"engines"},
    {"stream"},
    {"media"},
    {"dcfm_lab.datasets"},
    {"node", "dcfm_lab.learn", "dcfm_lab.evaluation", "dcfm_lab.labelling"},
    {"replay", "dcfm_lab.bench"},
    {"commands"},
    {"dcfm_lab.commands"},
    {"cli"},
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ROS_SUFFIXES = ("_msgs", "_srvs", "_interfaces")
ROS_PACKAGES = (
    "rclpy",
    "cv_bridge",
    "launch",
    "launch_ros",
    "message_filters",
    "rosbag2_py",
    "tf2_ros",
    "dcfm_ros.msg",
)


def modules():
    packages = (PACKAGE, ROOT / "dcfm_lab")
    return sorted(
        path for package in packages for path in package.rglob("*.py") if "__pycache__" not in path.parts
    )


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(source, name, is_package):
    """Absolute names of everything that the module imports: at its top, inside a function, or by a string."""
    base = name.split(".") if is_package else name.split(".")[:-1]
    looked_for = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = base[: len(base) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from dcfm_ros import msg` imports a module of the package: its name is part of the address.
            yield from (f"{origin}.{alias.name}" if origin == "dcfm_ros" else origin for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("find_spec"):
            looked_for.update(map(id, node.args))  # which imports nothing
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (
                arg.value for arg in node.args if re.fullmatch(r"\w+", str(getattr(arg, "value", "")))
            )
        elif (
            isinstance(node, ast.Constant)
            and re.fullmatch(r"[a-z]\w*(\.\w+)+", str(node.value))
            and id(node) not in looked_for
        ):
            # `import_module("dcfm_ros.node.main")`, and tables of such names.
            yield node.value


def room_of(name):
    """`stream` of dcfm_ros.stream.frame, `dcfm_lab.learn` of dcfm_lab.learn.losses; None for all else."""
    package, _, rest = name.partition(".")
    if not rest or package not in ("dcfm_ros", "dcfm_lab"):
        return None
    return ("dcfm_lab." if package == "dcfm_lab" else "") + rest.partition(".")[0]


def is_ros(name):
    top = name.split(".")[0]
    return top in ROS_PACKAGES or name.startswith("dcfm_ros.msg") or top.endswith(ROS_SUFFIXES)


def wrong_arrows(source, name, is_package=False):
    """What this module must not import, and why."""
    room = room_of(name)
    for imported in imports_of(source, name, is_package):
        target = room_of(imported)
        if imported.startswith("dcfm_ros.") and target in PUBLIC and room is not None:
            yield f"{name} imports {imported}: inside the package, from the module that defines it"
        elif is_ros(imported) and room != "node":
            yield f"{name} imports {imported}: ROS stays in dcfm_ros/node"
        elif (target or "").startswith("dcfm_lab.") and not name.startswith(("dcfm_lab", "dcfm_ros.cli")):
            yield f"{name} imports {imported}: what runs on a robot must not know the workshop"
        elif target in FLOOR_OF and target != room and FLOOR_OF[target] >= FLOOR_OF.get(room, len(FLOORS)):
            yield f"{name} imports {imported}: {room} must not know {target}"


def test_every_room_has_its_rule():
    rooms = {room_of(name) for name in map(name_of, modules()) if "." in name}
    assert rooms == set(FLOOR_OF)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_one_way(path):
    source = path.read_text(encoding="utf-8")
    assert list(wrong_arrows(source, name_of(path), path.name == "__init__.py")) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import rclpy", "dcfm_ros.stream.x"),
        ("from dcfm_lab.datasets import base", "dcfm_ros.commands.x"),
        ("TABLE = ['dcfm_lab.learn.losses']", "dcfm_ros.replay.x"),
        ("from dcfm_lab.learn import losses", "dcfm_lab.datasets.x"),
        ("from sensor_msgs.msg import Image", "dcfm_ros.replay.live.x"),
        ("from dcfm_ros.msg import FrameTiming", "dcfm_lab.learn.x"),
        ("from dcfm_ros import msg", "dcfm_lab.learn.x"),
        ("def f():\n    from dcfm_ros.stream import frame", "dcfm_ros.engines.x"),
        ("from ..replay import job", "dcfm_ros.stream.x"),
        ("from dcfm_ros import node", "dcfm_ros.media.x"),
        ("import dcfm_ros.replay.job as job", "dcfm_lab.learn.x"),
        ("import dcfm_ros.replay.job", "dcfm_lab.bench.x"),
        ("import dcfm_ros.model", "dcfm_ros.measure.x"),
        ("importlib.import_module('dcfm_ros.commands.demo')", "dcfm_ros.replay.x"),
        ("TABLE = {'a': 'dcfm_ros.node.main'}", "dcfm_ros.stream.x"),
        ("import_module('rclpy')", "dcfm_ros.replay.x"),
        ("importlib.import_module('launch_ros')", "dcfm_lab.learn.x"),
        ("__import__('sensor_msgs')", "dcfm_ros.media.x"),
        ("TABLE = {'a': 'sensor_msgs.msg'}", "dcfm_ros.replay.x"),
        ("from dcfm_ros import __version__", "dcfm_ros.engines.x"),
        ("from dcfm_ros import StreamSegmenter", "dcfm_ros.replay.x"),
    ],
)
def test_a_wrong_arrow_is_found(source, name):
    assert len(list(wrong_arrows(source, name))) == 1


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from dcfm_ros.stream.config import StreamConfig", "dcfm_ros.replay.x"),
        ("from . import bags", "dcfm_ros.replay.x"),
        ("import rclpy\nfrom dcfm_ros.msg import FrameTiming", "dcfm_ros.node.x"),
        ("import launcher, msgpack", "dcfm_ros.model.x"),
        ("find_spec('dcfm_ros.msg')\nDISTRIBUTIONS = ('rclpy',)", "dcfm_ros.replay.x"),
    ],
)
def test_a_right_arrow_passes(source, name):
    assert list(wrong_arrows(source, name)) == []


@pytest.mark.slow
def test_rooms_without_ros_import_where_ros_is_missing(tmp_path):
    """Importing every module outside node/ finds no ROS package, whatever lies behind dynamic imports."""
    names = [name_of(path) for path in modules() if room_of(name_of(path)) not in ("node", None)]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n        print('missing', error.name)\n"
        f"print('ros', [name for name in sys.modules if name.split('.')[0] in {ROS_PACKAGES!r}])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=150, cwd=PACKAGE.parent
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.rstrip().endswith("ros []"), result.stdout
    assert "missing dcfm_" not in result.stdout


def without_typing(source):
    """The source less what only type checkers import."""
    if "TYPE_CHECKING" not in source:
        return source

    class Dropped(ast.NodeTransformer):
        def visit_If(self, node):
            return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)

    return ast.unparse(Dropped().visit(ast.parse(source)))


def files_imported(source, name, is_package, files):
    """The modules among `files` that this one imports; of `from package import x`, the module x where there is one."""
    source = without_typing(source)
    names = set(imports_of(source, name, is_package))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            below = {f"{node.module}.{alias.name}" for alias in node.names} & files
            names |= below
            if len(below) == len(node.names):
                names.discard(node.module)
    return names & files - {name}


def circle_in(graph):
    """A list of modules each of which imports the next, the last one the first; [] where there is none."""
    done = set()

    def search(name, way):
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        done.add(name)
        return next(filter(None, (search(other, [*way, name]) for other in sorted(graph[name]))), [])

    return next(filter(None, (search(name, []) for name in sorted(graph))), [])


def test_no_files_import_each_other_in_a_circle():
    sources = {name_of(path): path for path in modules()}
    graph = {
        name: files_imported(path.read_text("utf-8"), name, path.name == "__init__.py", set(sources))
        for name, path in sources.items()
    }
    assert circle_in(graph) == []


@pytest.mark.parametrize(
    ("back", "circle"),
    [
        ("import dcfm_ros.model.a", True),
        ("def f():\n    from dcfm_ros.model.a import x", True),
        ("from dcfm_ros.model import a", True),
        ("import_module('dcfm_ros.model.a')", True),
        ("if TYPE_CHECKING:\n    from dcfm_ros.model.a import x", False),
        ("from dcfm_ros.model import other", False),
        ("import torch", False),
    ],
)
def test_a_circle_is_found(back, circle):
    sources = {
        "dcfm_ros.model.a": "from dcfm_ros.model import b",
        "dcfm_ros.model.b": "from dcfm_ros.model.c import x",
        "dcfm_ros.model.c": back,
        "dcfm_ros.model.other": "",
    }
    files = set(sources) | {"dcfm_ros.model"}
    graph = {name: files_imported(source, name, False, files) for name, source in sources.items()}
    found = circle_in({**graph, "dcfm_ros.model": set()})
    assert set(found) == (set(sources) - {"dcfm_ros.model.other"} if circle else set())


def test_the_package_is_found_where_it_is_tested():
    assert Path(importlib.util.find_spec("dcfm_ros").origin).resolve() == PACKAGE / "__init__.py"


def test_nothing_is_printed_but_through_say():
    """Names from files and messages may hold terminal escapes; `control` writes JSON for a process."""
    printing = {
        name_of(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert printing == {"dcfm_ros.errors", "dcfm_ros.node.harness.control"}
