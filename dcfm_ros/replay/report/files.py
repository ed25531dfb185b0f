"""Writes a page from its template, and the numbers beside it as JSON and CSV."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from dcfm_ros.files import write_json, write_text
from dcfm_ros.measure.spread import Distribution
from dcfm_ros.measure.table import counted, number, percent
from dcfm_ros.replay.outputs import NUMBERS, PAGE


def data_uri(jpeg: bytes) -> str:
    """A picture in the page itself."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("dcfm_ros.replay.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "counted": counted,
    "data_uri": data_uri,
    "number": number,
    "percent": percent,
    "rgb": lambda color: f"rgb{tuple(color)}",
}


def render(template: str, **values: Any) -> str:
    """A page as text; what is put into the template is escaped. base.html names the values that every page needs."""
    return _TEMPLATES.get_template(template).render(**{"subject": "", "data": None, **values})


def write_page(folder: Path, template: str, **values: Any) -> Path:
    """Write the page into the folder, and return its path."""
    page = folder / PAGE
    write_text(render(template, **values), page)
    return page


def write_numbers(folder: Path, values: dict[str, Any]) -> None:
    """Write the numbers of a page beside it; NaN and infinities are null."""
    write_json(finite(values), folder / NUMBERS)


def finite(value: Any) -> Any:
    """The same as plain JSON values, with None for every number that JSON does not know."""
    if isinstance(value, Distribution):
        value = value.as_json()
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table for other programs: truth as 0 and 1, NaN and None as nothing."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(head)
    table.writerows([_cell(cell) for cell in row] for row in rows)
    write_text(text.getvalue(), path)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else round(value, 6)
    return value
