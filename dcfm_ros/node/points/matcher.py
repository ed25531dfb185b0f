"""Messages of several topics that have one stamp."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any


class ExactTime:
    """Gathers messages until each topic has one with the same stamp.

    `names`: of the topics. `kept`: how many stamps may be incomplete; the oldest give way. `lost`: how many of those that
    are given up had a message of the topic that all is about, the first of `names`.
    """

    def __init__(self, names: Collection[str], kept: int) -> None:
        self.lost = 0
        self._first, *_ = self._names = tuple(names)
        self._kept = kept
        self._waiting: OrderedDict[int, dict[str, Any]] = OrderedDict()

    def add(self, name: str, stamp_ns: int, message: Any) -> dict[str, Any] | None:
        """The messages of this stamp by topic, once they are complete. Those that wait for an older stamp are given up."""
        group = self._waiting.setdefault(stamp_ns, {})
        group[name] = message
        if len(group) == len(self._names):
            for stamp in [stamp for stamp in self._waiting if stamp <= stamp_ns]:
                self._give_up(self._waiting.pop(stamp))
            return group
        while len(self._waiting) > self._kept:
            self._give_up(self._waiting.popitem(last=False)[1])
        return None

    def _give_up(self, group: dict[str, Any]) -> None:
        self.lost += self._first in group and len(group) < len(self._names)
