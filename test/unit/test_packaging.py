"""What is declared is what is used: package.xml, pyproject.toml and the installed files agree with the code."""

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import dcfm_ros
from dcfm_ros.requirements import OLDEST

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("needs the source tree", allow_module_level=True)

# Module -> (its name in pyproject.toml, its rosdep key; None: not everybody needs it, or apt has none that does).
PACKAGES = {
    "torch": ("torch", None),
    "numpy": ("numpy", "python3-numpy"),
    "cv2": ("opencv-python-headless", "python3-opencv"),
    "yaml": ("pyyaml", "python3-yaml"),
    "tqdm": ("tqdm", "python3-tqdm"),
    "rosbags": ("rosbags", None),
    "numba": ("numba", "python3-numba"),
    "psutil": ("psutil", "python3-psutil"),
    "jinja2": ("jinja2", "python3-jinja2"),
    "markupsafe": ("jinja2", "python3-jinja2"),  # jinja2 needs it
    "onnx": ("onnx", None),
    "onnxruntime": ("onnxruntime", None),
    "openvino": ("openvino", None),
    "nncf": ("nncf", None),
    "tensorboard": ("tensorboard", None),
    "matplotlib": ("matplotlib", None),
    "transformers": ("transformers", None),
    "triton": ("triton", None),
    "ruamel": ("rosbags", None),  # rosbags needs it
    "lz4": ("rosbags", None),  # likewise
}
OPTIONAL = {"ray", "tensorrt", "cuda", "pynvml"}  # used where they are; nothing asks for them
ROS_PACKAGES = re.compile(
    r"rclpy|launch|launch_ros|cv_bridge|ament_index_python|tf2_ros|bond|\w+_msgs|\w+_srvs|\w+_interfaces"
)


def imported(*folders):
    """Top names of all imports in Python files below these folders, apart from the standard library's and ours."""
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"dcfm_ros", "dcfm_lab"}


@pytest.fixture(scope="module")
def package_xml():
    return ElementTree.parse(ROOT / "package.xml").getroot()


def keys(package_xml, *kinds):
    return {element.text for kind in kinds for element in package_xml.iter(kind)}


def requirements(text):
    return {name.lower() for name in re.findall(r'"([\w-]+)(?:\[[^]]*\])?[<>=!~]', text)}


def test_versions_and_licences_agree(package_xml):
    assert package_xml.findtext("version") == dcfm_ros.__version__
    assert package_xml.findtext("license") == "Apache-2.0"
    assert 'license = { text = "Apache-2.0" }' in (ROOT / "pyproject.toml").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]


def test_every_python_package_is_declared(package_xml):
    declared = requirements((ROOT / "pyproject.toml").read_text())
    exec_keys = keys(package_xml, "exec_depend", "depend")
    python = {name for name in imported("dcfm_ros", "dcfm_lab") if not ROS_PACKAGES.fullmatch(name)}
    assert python - OPTIONAL <= set(PACKAGES), (
        "new packages: add them to pyproject.toml, package.xml and here"
    )
    for name in python - OPTIONAL:
        requirement, key = PACKAGES[name]
        assert requirement in declared, name
        assert key is None or key in exec_keys, name


def test_every_ros_package_is_declared(package_xml):
    ros = {name for name in imported("dcfm_ros", "dcfm_lab", "launch") if ROS_PACKAGES.fullmatch(name)}
    assert "rclpy" in ros and "sensor_msgs" in ros
    assert ros <= keys(package_xml, "exec_depend", "depend")


def test_nothing_is_declared_that_nobody_uses(package_xml):
    # By others' code: the messages' runtime, `ros2 launch`, rclpy's lifecycle nodes.
    behind = {"rosidl_default_runtime", "ros2launch", "lifecycle_msgs", "builtin_interfaces", "std_msgs"}
    behind |= {"rviz2"}  # which the launch files start
    used = imported("dcfm_ros", "dcfm_lab", "launch") | behind
    used |= {key for name in used & set(PACKAGES) for key in [PACKAGES[name][1]]}
    assert keys(package_xml, "exec_depend", "depend") <= used


def bounds(text):
    """Package -> oldest version, of requirements of any form."""
    return dict(re.findall(r"^\s*\"?([\w-]+)>=([\d.]+)", text, re.M))


def test_apt_or_the_robots_list_brings_everything_that_is_needed(package_xml):
    project = (ROOT / "pyproject.toml").read_text()
    asked = bounds(project[project.index("dependencies = [") : project.index("[project.optional")])
    by_apt = {PACKAGES[name][0] for name in PACKAGES if PACKAGES[name][1]}
    robot = bounds((ROOT / "tools" / "robot.txt").read_text())
    assert set(asked) == (by_apt | set(robot)) & set(asked)
    extra = {"openvino": "2024.0", "onnx": "1.15"}  # the extra `cpu`
    assert robot == {name: {**asked, **extra}[name] for name in robot}
    assert {**asked, **OLDEST} == asked
    # Of these Humble's Ubuntu has too old ones, whether rosdep installs them or not.
    assert set(OLDEST) <= set(robot)
    conditions = {element.text: element.get("condition") for element in package_xml.iter("exec_depend")}
    assert conditions["python3-numba"] == "$ROS_DISTRO != humble"
    assert not any(key.endswith("-pip") for key in conditions)  # which Ubuntu 24.04 refuses


def test_tested_versions_are_pinned():
    pinned = {}
    for line in (ROOT / "tools" / "constraints.txt").read_text().splitlines():
        if match := re.match(r"([\w-]+)==([\w.]+)", line):
            pinned[match[1].lower()] = match[2]
    project = (ROOT / "pyproject.toml").read_text()
    asked = project[project.index("dependencies = [") : project.index("[project.scripts]")]
    asked = {name.lower() for name in re.findall(r'"([\w-]+)(?:\[[^]]*\])?>=', asked)}
    # Those with == are pinned where they are asked for, triton by the torch that needs it.
    assert asked - {"triton"} <= set(pinned)


def test_hooks_check_with_the_versions_of_the_dev_extra():
    pinned = dict(re.findall(r'"(ruff|mypy)==([\d.]+)"', (ROOT / "pyproject.toml").read_text()))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert dict(re.findall(r"/(?:mirrors-)?(ruff|mypy)(?:-pre-commit)?\n\s+rev: v([\d.]+)", hooks)) == pinned


def test_every_file_that_names_the_version_names_this_one():
    changelog = re.search(r"^([\d.]+) \(\d{4}-\d\d-\d\d\)\n-+$", (ROOT / "CHANGELOG.rst").read_text(), re.M)
    assert changelog and changelog[1] == dcfm_ros.__version__
    assert f"\nversion: {dcfm_ros.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_both_manifests_name_the_same_maintainer(package_xml):
    maintainer = package_xml.find("maintainer")
    entry = f'{{ name = "{maintainer.text}", email = "{maintainer.get("email")}" }}'
    assert entry in (ROOT / "pyproject.toml").read_text()


@pytest.mark.slow
def test_pip_install_lays_everything_where_it_is_found(tmp_path):
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("dcfm_ros", "dcfm_lab", "config", "launch", "msg", "weights"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True, timeout=150)
    for name in ("config", "launch", "msg", "weights"):
        for path in (path for path in (source / name).rglob("*") if path.is_file()):
            copy = site / "share" / "dcfm_ros" / path.relative_to(source)
            assert copy.read_bytes() == path.read_bytes(), path
    assert not list(site.rglob("test_*.py"))
    code = (
        "import dcfm_ros, dcfm_ros.share as share\n"
        "print(dcfm_ros.__file__, share.share_path('config', 'dcfm.yaml'), share.share_path('weights'))\n"
        "import dcfm_ros.replay.report.page, dcfm_lab.commands.label\n"
        "from dcfm_ros import cli\ncli.main(['--version'])\n"
    )
    run = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(run, capture_output=True, text=True, timeout=100, cwd=tmp_path, env=environment)
    assert f"dcfm {dcfm_ros.__version__}" in result.stdout, result.stderr
    paths = result.stdout.splitlines()[0].split()
    assert len(paths) == 3 and all(Path(path).is_relative_to(site) for path in paths)
    templates = Path("dcfm_ros", "replay", "report", "templates")
    assert {path.name for path in (site / templates).iterdir()} == {
        path.name for path in (ROOT / templates).iterdir()
    }
