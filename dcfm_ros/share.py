"""Where the package's data files are: the configuration, the weights, the message definitions."""

from __future__ import annotations

import os
from pathlib import Path

from dcfm_ros.errors import DcfmError


def share_path(*parts: str | os.PathLike[str]) -> Path:
    """Path of a data file or folder of this package, for example `share_path("config", "dcfm.yaml")`.

    In the source tree the folders lie beside the package. Every way of installing (pip into an environment, a user's
    folder or a target folder; colcon, plain or with symbolic links) puts them into `share/dcfm_ros` below one of the
    folders that the package lies in.
    Raises DcfmError: nothing of that name in any of these places; the message lists them.
    """
    # Not resolved: a colcon installation with symbolic links shall find its own files.
    package = Path(__file__).absolute().parent
    places = [folder / "share" / "dcfm_ros" for folder in package.parents[:5]]
    if (package.parent / "package.xml").is_file():
        places = [package.parent]
    for place in places:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    name = "/".join(os.fspath(part) for part in parts)
    looked = ", ".join(str(place) for place in places)
    raise DcfmError(f"'{name}' of dcfm_ros was not found in {looked}; install the package again")
