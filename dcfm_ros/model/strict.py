"""Tensors into a model, strictly: every name, every shape."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dcfm_ros.errors import DcfmError

COUNTER = "num_batches_tracked"


def load_strictly(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copies `tensors` into `model`; DcfmError, naming tensor and shapes, unless all fit and none is left over.

    Batch-norm counters may be absent: they say nothing about what the model computes.
    """
    state = model.state_dict()
    missing = [name for name in state if name not in tensors and not name.endswith(COUNTER)]
    surplus = [name for name in tensors if name not in state]
    if missing:
        raise DcfmError(f"{source} lacks {_count(missing)} of this model{_hint(surplus)}")
    if surplus:
        raise DcfmError(
            f"{source} holds {_count(surplus)} unknown to this model; was it made for another backbone?"
        )
    for name, value in tensors.items():
        expected = state[name]
        if expected.shape != value.shape:
            raise DcfmError(
                f"{source} has tensor '{name}' of shape {tuple(value.shape)}, "
                f"this model needs {tuple(expected.shape)}; was it made for another backbone or class count?"
            )
        if expected.is_floating_point() != value.is_floating_point():
            raise DcfmError(
                f"{source} has tensor '{name}' of type {value.dtype}, this model needs {expected.dtype}"
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise DcfmError(
                f"{source} has numbers in tensor '{name}' that are not finite; the file is damaged"
            )
    model.load_state_dict(dict(tensors), strict=False)


def _count(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"tensor '{names[0]}'{more}"


def _hint(surplus: list[str]) -> str:
    return f"; it holds {_count(surplus)} unknown to it" if surplus else ""
