"""Pages that people write, with a part that is generated."""

from __future__ import annotations

import os
from pathlib import Path


def fill(text: str, marks: tuple[str, str], content: str) -> str | None:
    """The text with `content` between the first pair of marks, which stay; None where it does not have them."""
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    return f"{before}{begin}\n\n{content}\n\n{end}{after}" if begin and end else None


def link(path: Path, page: Path) -> str:
    """Where a page's link to the file leads: relative to the page."""
    return Path(os.path.relpath(path, page.parent)).as_posix()
