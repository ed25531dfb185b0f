"""Writes what the documentation and config/dcfm.yaml say of the parameters, from the dataclasses.

`python tools/parameter_docs.py yaml > config/dcfm.yaml`; `python tools/parameter_docs.py docs/node.md` renews the tables in
that file.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from dcfm_ros.node.parameters import ANY_TIME, GROUPS, UNCONFIGURED, Parameter, group

TITLES = {
    "node": "Input, output and diagnostics",
    "stream": "Stream: key frames and sizes",
    "engine": "Engine: what runs the network",
}
WHEN = {ANY_TIME: "any time", UNCONFIGURED: "unconfigured"}
BEGIN, END = "<!-- parameters: begin -->\n", "<!-- parameters: end -->\n"
YAML_HEAD = """\
# The node's parameters with their defaults: start from a copy, and keep only what you change.
# Unknown names are refused at the start. What may change while the node runs is marked with *.
/**:
  ros__parameters:
"""


def markdown() -> str:
    """A table for each group of parameters."""
    parts = []
    for name in GROUPS:
        rows = [_row(parameter) for parameter in group(name)]
        head = "| parameter | default | range | may change | meaning |\n|---|---|---|---|---|"
        parts.append(f"### {TITLES[name]}\n\n{head}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def with_tables(text: str) -> str:
    """A Markdown text with the tables of now between the two marks."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + markdown() + "\n" + END + rest.partition(END)[2]


def yaml() -> str:
    """A parameters file with every default."""
    lines = []
    for name in GROUPS:
        lines.append(f"    # {TITLES[name]}")
        for parameter in group(name):
            star = "* " if parameter.when == ANY_TIME else ""
            lines += textwrap.wrap(
                f"{star}{parameter.described}", 100, initial_indent="    # ", subsequent_indent="    #   "
            )
            lines.append(f"    {parameter.name}: {_scalar(parameter.ros_default)}")
        lines.append("")
    return YAML_HEAD + "\n".join(lines).rstrip() + "\n"


def _row(parameter: Parameter) -> str:
    cells = (
        f"`{parameter.name}`",
        f"`{_scalar(parameter.ros_default)}`",
        parameter.allowed,
        WHEN.get(parameter.when, "never"),
        parameter.text.replace("<", "&lt;"),
    )
    return "| " + " | ".join(cells) + " |"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def main(what: str) -> None:
    """Print the parameters file, or renew the tables in a Markdown file."""
    if what == "yaml":
        sys.stdout.write(yaml())
    else:
        path = Path(what)
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
