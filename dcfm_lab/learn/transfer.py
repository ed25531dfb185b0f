"""A model to begin with, from the weights of another one: of other classes, or with another independent feature."""

from __future__ import annotations

import torch
from torch import Tensor

from dcfm_ros.errors import DcfmError
from dcfm_ros.measure.table import counted
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import DCFM, build_model

FUSION = "fusion.conv.weight"
"""Its input: the common feature's channels, then the independent feature's."""


def transferred(source: DCFM, config: ModelConfig, card: ModelCard) -> tuple[DCFM, str]:
    """A model of `config` and `card` with all of `source` that it has a place for; and what is new in it, "" for nothing.

    The last layer's weights are taken by the classes' names. Where the independent feature has other channels, those that
    both have are taken: features with fewer maps are the first channels of those with more. The rest begins at random.

    Raises DcfmError for another backbone, of which nothing could be taken.
    """
    if config.backbone != source.config.backbone:
        raise DcfmError(
            f"the weights are of the backbone '{source.config.backbone}', the model has '{config.backbone}'; they must be "
            "the same, or leave out `model` to take that of the weights"
        )
    model = build_model(config, card)
    last = _last_layer(model)
    theirs, ours = source.state_dict(), model.state_dict()
    unlike = []
    for name, value in ours.items():
        other = theirs.get(name)
        if name == last and other is not None:
            ours[name] = _by_class(value, other, card.classes, source.card.classes)
        elif other is not None and other.shape == value.shape:
            ours[name] = other
        elif name == FUSION and other is not None and other.shape[0] == value.shape[0]:
            ours[name] = _overlapping(value, other)
        else:
            unlike.append(name)
    model.load_state_dict(ours)
    return model, _what_is_new(model, source, unlike)


def _last_layer(model: DCFM) -> str:
    """The name of the classifier's last weights, which have a row for each class."""
    return [name for name in model.state_dict() if name.startswith("classifier.")][-1]


def _by_class(value: Tensor, other: Tensor, classes: tuple[str, ...], known: tuple[str, ...]) -> Tensor:
    """`value` with those rows of `other` that are of the same classes."""
    if value.shape[1:] != other.shape[1:]:
        return value
    value = value.clone()
    for row, name in enumerate(classes):
        if name in known:
            value[row] = other[known.index(name)]
    return value


def _overlapping(value: Tensor, other: Tensor) -> Tensor:
    """`value` with the channels that both have. A channel that is new must not disturb those that were learnt: 0."""
    both = min(value.shape[1], other.shape[1])
    return torch.cat([other[:, :both], torch.zeros_like(value[:, both:])], dim=1)


def _what_is_new(model: DCFM, source: DCFM, unlike: list[str]) -> str:
    """What of the model was not taken from the weights, in words."""
    new = []
    fresh = [name for name in model.card.classes if name not in source.card.classes]
    if fresh:
        new.append(f"classes that begin at random: {', '.join(fresh)}")
    left = [name for name in source.card.classes if name not in model.card.classes]
    if left:
        new.append(f"classes left out: {', '.join(left)}")
    ours, theirs = model.config.independent_feature, source.config.independent_feature
    if ours != theirs:
        new.append(f"independent feature '{ours}' in place of '{theirs}'")
    if unlike:
        new.append(
            f"{counted(len(unlike), 'tensor')} that {'begins' if len(unlike) == 1 else 'begin'} at random, such as '{unlike[0]}'"
        )
    return "; ".join(new)
