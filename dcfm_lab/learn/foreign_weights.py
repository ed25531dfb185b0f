"""Weights files from elsewhere: their tensors by name, without running any code in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import must_be_a_file, read_weights


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors`, `.pth`, `.pt` or `.bin` file by name, without running any code in it.

    Training files that wrap them as `state_dict` or `model` are unwrapped. Raises DcfmError when the file is missing,
    damaged, holds anything but tensors, or would run code.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        return read_weights(path)[0]
    must_be_a_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes provoke
        raise DcfmError(
            f"weights file '{path}' was not loaded: it is damaged, or holds objects other than tensors, "
            f"which could run code ({_reason(error)})"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return _only_tensors(content, path)


def _reason(error: Exception) -> str:
    """The unpickler's own words, without PyTorch's advice to load such a file by running what is in it."""
    said = re.search(r"WeightsUnpickler error: ([^\n]+?)(?:\. |\.?$)", str(error), re.MULTILINE)
    first = said[1] if said else str(error).partition("\n")[0]
    return type(error).__name__ if not first or "weights_only" in first else first


def _only_tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise DcfmError(f"weights file '{path}' holds a {type(content).__name__}, expected tensors by name")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise DcfmError(
                f"weights file '{path}' holds a {type(value).__name__} as '{name}', expected a tensor"
            )
    return dict(content)
