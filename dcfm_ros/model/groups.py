"""One's own classes out of the model's: groups of them, named in a file, that take their place in everything that comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dcfm_ros.arrays import UNLABELLED
from dcfm_ros.config import from_mapping, read_yaml
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard
from dcfm_ros.model.dcfm import DCFM

REST = "rest"
"""Stands for a list of classes: all that no other group names."""
MIN_SHARE = 1e-6
"""Relative to the likeliest class: a group below is as unlikely as that, so that half precision has a logarithm for it."""


@dataclass(frozen=True)
class Group:
    """classes: names of the model's, or REST. color: RGB, 0-255; empty: that of its first class. drop: unlabelled."""

    classes: tuple[str, ...]
    color: tuple[int, ...] = ()
    drop: bool = False


def grouped(model: DCFM, file: str | Path) -> DCFM:
    """The model with the groups in a file as its classes; it shares the weights with `model`.

    A group's probability is the sum of its classes', before the arg-max: it wins where its classes do together. Classes
    that no group names stay as they are, after the groups. What `drop` says is unlabelled where it wins.

    Raises DcfmError for a file that cannot be read, or names what the model does not know.
    """
    groups = read_groups(Path(file), model.card)
    shown = {name: group for name, group in groups.items() if not group.drop}
    known = model.card.classes
    order = [*shown.values(), *(group for group in groups.values() if group.drop)]
    matrix = torch.zeros(len(order), len(known))
    for row, group in enumerate(order):
        matrix[row, [known.index(name) for name in group.classes]] = 1.0
    owner = matrix.argmax(0).tolist()
    card = replace(
        model.card,
        classes=tuple(shown),
        colors=tuple(_color(group, model.card) for group in shown.values()),
        members=tuple(row if row < len(shown) else UNLABELLED for row in owner),
        member_colors=model.card.colors,
    )
    return model.with_grouping(Grouping(matrix), card)


def read_groups(file: Path, card: ModelCard) -> dict[str, Group]:
    """The groups of a file by name, and each class that none of them names by itself. Raises DcfmError."""
    table = read_yaml(file, "file of groups")
    try:
        if not table:
            raise DcfmError("it is empty")
        groups = {str(name): _group(name, value) for name, value in table.items()}
        if len(groups) < len(table):
            raise DcfmError("two groups have the same name")
        named = [name for group in groups.values() for name in group.classes]
        for name in named:
            if name not in card.classes and name != REST:
                raise DcfmError(f"the model knows no class '{name}'; it knows {', '.join(card.classes)}")
            if named.count(name) > 1:
                raise DcfmError(f"class '{name}' is named twice")
        left = tuple(name for name in card.classes if name not in named)
        groups = {name: _filled(name, group, left) for name, group in groups.items()}
        if REST not in named:
            if same := [name for name in left if name in groups]:
                raise DcfmError(f"group '{same[0]}' has the name of a class that no group names")
            groups |= {name: Group((name,)) for name in left}
        if all(group.drop for group in groups.values()):
            raise DcfmError("it drops every class")
    except DcfmError as error:
        raise DcfmError(
            f"file of groups '{file}' must hold lines like 'person: [pedestrian, bicyclist]' or 'sky: {{classes: [sky], "
            f"drop: true}}': {error}"
        ) from error
    return groups


def _group(name: Any, value: Any) -> Group:
    content = value if isinstance(value, dict) else {"classes": value}
    names = {**content, "classes": _names(content)}
    return from_mapping(Group, names, str(name))


def _names(value: Any) -> list[Any]:
    """The classes of a group as it stands in the file, one name or several."""
    names = value.get("classes", []) if isinstance(value, dict) else value
    return names if isinstance(names, list) else [names]


def _filled(name: str, group: Group, left: tuple[str, ...]) -> Group:
    """With the classes that REST stands for."""
    if REST in group.classes:
        group = replace(group, classes=(*(each for each in group.classes if each != REST), *left))
    if not group.classes:
        raise DcfmError(f"group '{name}' has no class")
    if group.color and (len(group.color) != 3 or not all(0 <= part <= 255 for part in group.color)):
        raise DcfmError(f"the color of '{name}' is {list(group.color)}; expected red, green and blue, 0-255")
    return group


def _color(group: Group, card: ModelCard) -> tuple[int, int, int]:
    red, green, blue = group.color or card.colors[card.classes.index(group.classes[0])]
    return red, green, blue


class Grouping(nn.Module):
    """Logits of classes -> logits of groups: the logarithm of their summed probabilities, up to what all have in common."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        """matrix: float32 groups×classes, 1 where a class is in a group."""
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, logits: Tensor, axis: int = 1) -> Tensor:
        """axis: of the classes, and then of the groups."""
        top = logits.amax(axis, keepdim=True)
        shares = (logits - top).exp().movedim(axis, -1) @ self.matrix.T.to(logits.dtype)
        return shares.clamp_min(MIN_SHARE).log().movedim(-1, axis) + top
