"""`pip install` without ROS: the package, the `dcfm` command, and the data files where `dcfm_ros.share` finds them."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).resolve().parent
SHARED = ("config", "launch", "msg", "weights")


def data_files() -> list[tuple[str, list[str]]]:
    """(folder of the installation, files) for everything in the shared folders: the layout of a ROS installation."""
    files: dict[str, list[str]] = {}
    for shared in SHARED:
        for path in sorted((ROOT / shared).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT)
                files.setdefault(f"share/dcfm_ros/{relative.parent.as_posix()}", []).append(
                    relative.as_posix()
                )
    return sorted(files.items())


setup(
    packages=find_namespace_packages(include=["dcfm_ros", "dcfm_ros.*", "dcfm_lab", "dcfm_lab.*"]),
    package_data={"": ["*.css", "*.js", "*.html", "*.json", "*.yaml", "py.typed"]},
    data_files=data_files(),
)
