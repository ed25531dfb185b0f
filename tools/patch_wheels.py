"""Points the CMake files of the ROS 2 wheels to this environment's Python and NumPy headers.

The wheels were made on a machine whose Python lay in /opt/python; their exported CMake targets name its include
folders, and CMake refuses targets whose include folders do not exist. Run it with the environment's own Python after
each installation of wheels; a second run changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

PYTHON_HEADERS = re.compile(r"/opt/python/[^/;\"]+/include/python[0-9.]+")
NUMPY_HEADERS = re.compile(r"/opt/python/[^;\"]+/site-packages/numpy/(?:_core|core)/include")


def main() -> int:
    folders = {PYTHON_HEADERS: sysconfig.get_path("include"), NUMPY_HEADERS: numpy.get_include()}
    for folder in folders.values():
        if not Path(folder).is_dir():
            print(
                f"patch_wheels: {folder} does not exist; install Python's headers (python3-dev)",
                file=sys.stderr,
            )
            return 1
    changed = 0
    for path in sorted((Path(sys.prefix) / "share").glob("*/cmake/*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = before
        for pattern, folder in folders.items():
            after = pattern.sub(lambda _, folder=folder: folder, after)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed += 1
    print(f"patch_wheels: {changed} CMake files now name this environment's headers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
