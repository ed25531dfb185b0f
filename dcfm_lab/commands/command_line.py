"""The command that a result came from, as the result tells it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from dcfm_ros.commands.options import FORCE

OUTPUTS = ("--json", "--plot", "--plots")
"""Options that name what is written."""


def command_line(argv: Sequence[str], program: str = "dcfm") -> str:
    """The command as it was given, without what only this machine knows: where it wrote to, and over what, and the folders
    of paths."""
    words = iter(argv)
    told = []
    for word in words:
        if word in OUTPUTS:
            next(words, None)
        elif word != FORCE and word.partition("=")[0] not in OUTPUTS:
            told.append(re.sub(r"[^:=]*/", "", word.rstrip("/")))
    return " ".join([program, shlex.join(told)])
