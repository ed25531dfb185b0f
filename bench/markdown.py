"""Pages that people write, with a part that is generated."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dcfm_lab.measure.result_file import load_result, save_result

R = TypeVar("R")


def fill(text: str, marks: tuple[str, str], content: str) -> str | None:
    """The text with `content` between the first pair of marks, which stay; None where it does not have them."""
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    return f"{before}{begin}\n\n{content}\n\n{end}{after}" if begin and end else None


def link(path: Path, page: Path) -> str:
    """Where a page's link to the file leads: relative to the page."""
    return Path(os.path.relpath(path, page.parent)).as_posix()


def measured_page(
    parser: argparse.ArgumentParser,
    page: Path,
    results: Path,
    kind: type[R],
    measure: Callable[[argparse.Namespace], R],
    render: Callable[[R, str], str],
) -> int:
    """What a script does whose result stands on a page: measure, keep that in a file, write the page. Exit status 0.

    kind: the dataclass that the file holds; its `format` is "dcfm NAME 1" of the file's name. measure: by the options.
    render: the page's text, of the result and the text before.
    """
    parser.add_argument("--page", action="store_true", help=f"only write docs/{page.name}")
    args = parser.parse_args()
    if not args.page:
        save_result(measure(args), results)
    result = load_result(kind, results, f"dcfm {results.stem} 1", f"python bench/{results.stem}.py")
    page.write_text(render(result, page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0
