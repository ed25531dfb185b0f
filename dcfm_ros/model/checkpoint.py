"""Weights on disk: one `.safetensors` that carries its configuration and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard, ModelConfig, to_json
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.model.safetensors_file import read_safetensors, write_safetensors
from dcfm_ros.model.strict import COUNTER, load_strictly

FORMAT = "dcfm_ros 1"


def save_model(model: DCFM, path: str | Path, *, half: bool = False) -> None:
    """Writes weights, configuration and card to `path`; `half` stores float16. The file appears at once or not at all."""
    dtype = torch.float16 if half else torch.float32
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith(COUNTER)
    }
    metadata = {"format": FORMAT, "config": to_json(model.config), "card": to_json(model.card)}
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(partial, tensors, metadata)
    partial.replace(path)


def load_model(path: str | Path) -> DCFM:
    """The model in a `.safetensors` written by `save_model`, in eval mode, as float32.

    Raises DcfmError for a missing, truncated or foreign file and for any tensor that does not fit.
    """
    path = Path(path)
    tensors, metadata = _read(path)
    if metadata.get("format") != FORMAT:
        raise DcfmError(
            f"weights file '{path}' carries no dcfm_ros configuration; "
            f"published checkpoints are turned into one by `dcfm convert`"
        )
    try:
        config = from_mapping(ModelConfig, json.loads(metadata["config"]))
        card = from_mapping(ModelCard, json.loads(metadata["card"]))
        model = build_model(config, card)
    except (KeyError, TypeError, ValueError, DcfmError) as error:
        raise DcfmError(f"weights file '{path}' has a configuration that cannot be read: {error}") from error
    load_strictly(model, {name: value.float() for name, value in tensors.items()}, f"weights file '{path}'")
    return model


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors`, `.pth`, `.pt` or `.bin` file by name, without running any code in it.

    Training files that wrap them as `state_dict` or `model` are unwrapped. Raises DcfmError when the file is missing,
    damaged, holds anything but tensors, or would run code.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return _read(path)[0]
    _must_exist(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes provoke
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DcfmError(
            f"weights file '{path}' was not loaded: it is damaged, or holds objects other than tensors, "
            f"which could run code ({reason})"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return _only_tensors(content, path)


def _only_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise DcfmError(f"weights file '{path}' holds a {type(content).__name__}, expected tensors by name")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise DcfmError(
                f"weights file '{path}' holds a {type(value).__name__} as '{name}', expected a tensor"
            )
    return dict(content)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    _must_exist(path)
    try:
        return read_safetensors(path)
    except (OSError, ValueError) as error:
        raise DcfmError(
            f"weights file '{path}' is damaged or not a safetensors file ({error}); fetch or convert it again"
        ) from error


def _must_exist(path: Path) -> None:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DcfmError(f"weights file '{path}' {what}; give the path of a weights file")
