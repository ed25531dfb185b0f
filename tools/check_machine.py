"""Says in one line each what this machine lacks to set the project up: the standard library only, any Python 3."""

import os
import shutil
import sys
import sysconfig


def lacks():
    if sys.version_info < (3, 10):
        version = ".".join(map(str, sys.version_info[:2]))
        yield f"Python 3.10 or newer (this is {version}; `make PYTHON=python3.12 ...` takes another)"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        yield "Python's venv (Debian, Ubuntu: apt install python3-venv)"
    if not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")):
        yield "Python's headers (Debian, Ubuntu: apt install python3-dev)"
    if not (shutil.which("c++") or os.environ.get("CXX")):
        yield "a C++ compiler (Debian, Ubuntu: apt install g++)"
    if not shutil.which("cmake"):
        yield "CMake (Debian, Ubuntu: apt install cmake)"


missing = list(lacks())
for what in missing:
    print("dcfm_ros cannot be set up: this machine lacks " + what, file=sys.stderr)
sys.exit(1 if missing else 0)
