"""Reads and writes the safetensors format, which the ROS distributions have no package for.

A file is the header's length (8 bytes, little endian), the header (JSON: for each tensor its dtype, shape and place, and
texts under `__metadata__`), and the tensors' bytes without gaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from dcfm_ros.files import strict_json

_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000
_MAX_DATA = 1 << 32
"""Bytes: thirteen times the largest model that this package knows."""
_MAX_DIMENSIONS, _MAX_ELEMENTS = 8, 2**31 - 1
_ALIGNMENT = 8
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class _Place(NamedTuple):
    """Where in the data a tensor lies: from byte `begin` to before `end`."""

    begin: int
    end: int
    name: str
    dtype: torch.dtype
    shape: list[int]


def write_safetensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous tensors on the CPU. The largest element types come first, so that all are aligned."""
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
    file.write(text)
    for _, tensor in ordered:
        file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors by name, and the metadata.

    Raises ValueError: the file is cut off, or is not what its header says; the message says in which way;
    OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        size = Path(path).stat().st_size
        header = _header(file, size)
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("the metadata does not map names to texts")
        places = _places(header, size - file.tell())
        data = bytearray(file.read())
    return {place.name: _tensor(data, place) for place in places}, metadata


def _places(header: Mapping[str, Any], size: int) -> list[_Place]:
    """Where the tensors lie, in order. Raises ValueError unless they fill the file's other `size` bytes exactly."""
    places = sorted((_place(name, entry) for name, entry in header.items()), key=lambda place: place[:2])
    at = 0
    for place in places:
        if place.begin != at:
            raise ValueError(f"there is a gap or an overlap before tensor '{place.name}'")
        at = place.end
    if at != size:
        raise ValueError(f"the header describes {at} bytes of tensors, the file has {size}")
    if size > _MAX_DATA:
        raise ValueError(f"{size} bytes of tensors are more than any model has; expected at most {_MAX_DATA}")
    return places


def _header(file: BinaryIO, size: int) -> dict[str, Any]:
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not 2 <= length <= min(_MAX_HEADER, size - _LENGTH_BYTES):
        raise ValueError("the header is cut off")
    try:
        header = strict_json(file.read(length).decode())
    except ValueError as error:
        raise ValueError(f"the header cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    return header


def _place(name: str, entry: Any) -> _Place:
    """A tensor's entry in the header. Raises ValueError unless its parts fit together."""
    try:
        dtype, shape, (begin, end) = _DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the header's entry for tensor '{name}' cannot be read: {error!r}") from error
    numbers = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(
            f"the header's entry for tensor '{name}' has numbers that are not whole and positive"
        )
    if len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"tensor '{name}' has {len(shape)} dimensions, more than any model has")
    if end - begin != math.prod(shape) * torch.empty(0, dtype=dtype).element_size():
        raise ValueError(f"tensor '{name}' is {end - begin} bytes long, which does not fit its shape")
    if math.prod(filter(None, shape)) > _MAX_ELEMENTS:  # beside a 0, which makes nothing of all of them
        raise ValueError(f"tensor '{name}' has a shape that no model's tensor has")
    return _Place(begin, end, name, dtype, shape)


def _tensor(data: bytearray, place: _Place) -> Tensor:
    """A tensor with memory of its own: the bytes in the file need not be aligned."""
    if place.begin == place.end:
        return torch.empty(place.shape, dtype=place.dtype)
    raw = torch.frombuffer(data, dtype=torch.uint8, count=place.end - place.begin, offset=place.begin)
    return raw.clone().view(place.dtype).reshape(place.shape)
