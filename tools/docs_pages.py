"""What mkdocs shows beside docs/: the pages at the top of the tree, with their links bent to where pages lie there.

A link to a source file or folder becomes its name alone, since the pages do not know where the repository is hosted.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Where a page lies in the tree: where it lies among the pages.
PAGES = {
    "README.md": "README.md",
    "ARCHITECTURE.md": "ARCHITECTURE.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "weights/README.md": "weights.md",
}
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that lie outside docs/."""
    for path, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The page with links that hold among the pages."""
    trees = {name: path for path, name in PAGES.items()}
    path = trees.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return LINK.sub(lambda match: _bent(match, posixpath.dirname(path)), markdown)


def _bent(match: re.Match[str], folder: str) -> str:
    mark, text, target = match.groups()
    if "://" in target or target.startswith(("#", "mailto:")):
        return match[0]
    place, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(folder, place))
    if path in PAGES or path.startswith("docs/"):
        page = PAGES.get(path, path.removeprefix("docs/"))
        return f"{mark}[{text}]({page}{'#' + anchor if anchor else ''})"
    return text
