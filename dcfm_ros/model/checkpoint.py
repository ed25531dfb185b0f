"""Weights on disk: one `.safetensors` that carries its configuration and its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import strict_json, whole_file
from dcfm_ros.model.config import ModelCard, ModelConfig, to_json
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.model.safetensors_file import read_safetensors, write_safetensors

FORMAT = "dcfm_ros 1"
COUNTER = "num_batches_tracked"
"""The end of the names of a batch norm's counter, which says nothing about what a model computes."""
VARIANCE = "running_var"


def save_model(model: DCFM, path: str | Path, *, half: bool = False) -> None:
    """Writes weights, configuration and card to `path`; `half` stores float16. The file appears at once or not at all."""
    dtype = torch.float16 if half else torch.float32
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith(COUNTER)
    }
    metadata = {"format": FORMAT, "config": to_json(model.config), "card": to_json(model.card)}
    with whole_file(Path(path)) as file:
        write_safetensors(file, tensors, metadata)


def load_model(path: str | Path) -> DCFM:
    """The model in a `.safetensors` written by `save_model`, in eval mode, as float32.

    Raises DcfmError for a missing, truncated or foreign file and for any tensor that does not fit.
    """
    path = Path(path)
    tensors, metadata = read_weights(path)
    if metadata.get("format") != FORMAT:
        raise DcfmError(
            f"weights file '{path}' carries no dcfm_ros configuration; "
            f"published checkpoints are turned into one by `dcfm convert`"
        )
    try:
        config = from_mapping(ModelConfig, strict_json(metadata["config"]))
        card = from_mapping(ModelCard, strict_json(metadata["card"]))
        model = build_model(config, card)
    except (KeyError, TypeError, ValueError, DcfmError) as error:
        raise DcfmError(f"weights file '{path}' has a configuration that cannot be read: {error}") from error
    values = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    load_strictly(model, values, f"weights file '{path}'")
    return model


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
        if name.endswith(VARIANCE) and value.min() < 0:
            raise DcfmError(f"{source} has negative variances in tensor '{name}'; the file is damaged")
    model.load_state_dict(dict(tensors), strict=False)


def _count(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"tensor '{names[0]}'{more}"


def _hint(surplus: list[str]) -> str:
    return f"; it holds {_count(surplus)} unknown to it" if surplus else ""


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of any `.safetensors`; DcfmError where it is missing or damaged."""
    must_be_a_file(path)
    try:
        return read_safetensors(path)
    except (OSError, ValueError, MemoryError) as error:
        raise DcfmError(
            f"weights file '{path}' is damaged or not a safetensors file ({error}); fetch or convert it again"
        ) from error


def must_be_a_file(path: Path) -> None:
    """Raises DcfmError for weights that are not there."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DcfmError(f"weights file '{path}' {what}; give the path of a weights file")
