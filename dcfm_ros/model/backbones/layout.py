"""Tensor names of weights files from elsewhere, and how they become ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from dcfm_ros.errors import DcfmError

Tensors = dict[str, Tensor]
Rules = tuple[tuple[str, Callable[[re.Match[str]], str]], ...]
"""Patterns for the beginning of a name, and what they become; the first that fits counts."""


@dataclass(frozen=True)
class Layout:
    """How an ImageNet weights file names a backbone's tensors.

    name       for messages: whose layout of what
    marker     a name in such a file starts with it, and none in others
    unused     matches the beginning of names that do not belong to the backbone: classifiers
    translate  their tensors under our names, as in the backbone's state
    """

    name: str
    marker: str
    unused: str
    translate: Callable[[Tensors], Tensors] = dict


def rename(tensors: Mapping[str, Tensor], rules: Rules, what: str) -> Tensors:
    """Their names -> ours. Raises DcfmError for a name that fits no rule; what: for the message."""
    return {_renamed(name, rules, what): value for name, value in tensors.items()}


def _renamed(name: str, rules: Rules, what: str) -> str:
    for pattern, target in rules:
        renamed, count = re.subn("^" + pattern, target, name)
        if count:
            return renamed
    raise DcfmError(f"the published {what} holds a tensor '{name}', which no known {what} has")
