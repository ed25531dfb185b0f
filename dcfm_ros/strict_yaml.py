"""YAML that is read like JSON: plain values of a bounded size, and one kind of error."""

from __future__ import annotations

import re
from typing import Any

import yaml

_MAX_NODES = 1_000_000
"""In a text whose aliases are written out: a few lines of them can stand for gigabytes."""
_MAX_BITS = 64


def strict_yaml(text: str) -> Any:
    """The plain values in a YAML text.

    Raises ValueError, in one line, where it is none, nested too deeply or in itself, too large, or has whole
    numbers beyond 64 bits.
    """
    try:
        return yaml.load(text, _Loader)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except Exception as error:  # whatever the parser stumbles over: it makes numbers and dates of any text
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes `1e-4` for text; here it is a number."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0
        self._sizes: dict[str, int] = {}  # of what anchors stand for, in nodes

    def compose_node(self, parent: Any, index: Any) -> Any:
        event, before = self.peek_event(), self._nodes
        node = super().compose_node(parent, index)
        is_alias = isinstance(event, yaml.AliasEvent)
        if is_alias and event.anchor not in self._sizes:
            raise yaml.YAMLError(f"'{event.anchor}' contains itself")
        self._nodes += self._sizes[event.anchor] if is_alias else 1
        if self._nodes > _MAX_NODES:
            raise yaml.YAMLError(f"it has more than {_MAX_NODES} values")
        if event.anchor and not is_alias:
            self._sizes[event.anchor] = self._nodes - before
        return node

    def whole_number(self, node: Any) -> int:
        number: int = super().construct_yaml_int(node)
        if number.bit_length() > _MAX_BITS:
            raise yaml.YAMLError("it has a whole number beyond 64 bits")
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)
