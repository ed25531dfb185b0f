"""Values for another process: what is large in them lies in memory that both see."""

from __future__ import annotations

import io
import mmap
import os
import pickle
import tempfile
import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALIGNMENT = 64


class Parcel(NamedTuple):
    """What goes through the pipe: a value pickled without its large arrays, and their sizes in bytes."""

    pickled: bytes
    sizes: list[int]


class SharedMemory:
    """A file in memory, without a name, so that nothing is left behind however the two processes end.

    One process writes it, the other reads it; who wrote last must know that it was read before writing again.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _anonymous_file() if fd is None else fd
        self._map: mmap.mmap | None = None
        weakref.finalize(self, os.close, self.fd)

    def pack(self, value: Any) -> Parcel:
        """Write the arrays and CPU tensors in `value` to the memory. Raises what pickling `value` raises."""
        stream = io.BytesIO()
        buffers: list[pickle.PickleBuffer] = []
        _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
        arrays = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
        sizes = [array.size for array in arrays]
        self._resize(sum(_padded(size) for size in sizes))
        for array, place in zip(arrays, self._places(sizes), strict=True):
            np.copyto(place, array)
        return Parcel(stream.getvalue(), sizes)

    def unpack(self, parcel: Parcel) -> Any:
        """The value that was packed, with arrays of its own."""
        if self._size < sum(_padded(size) for size in parcel.sizes):
            self._remap()
        return pickle.loads(parcel.pickled, buffers=map(_aligned_copy, self._places(parcel.sizes)))

    def _places(self, sizes: list[int]) -> list[NDArray[np.uint8]]:
        places, begin = [], 0
        for size in sizes:
            whole = np.empty(0, np.uint8) if self._map is None else np.frombuffer(self._map, np.uint8)
            places.append(whole[begin : begin + size])
            begin += _padded(size)
        return places

    def _resize(self, size: int) -> None:
        if size > self._size:
            os.ftruncate(self.fd, size)
            self._remap()

    @property
    def _size(self) -> int:
        return 0 if self._map is None else len(self._map)

    def _remap(self) -> None:
        self._map = mmap.mmap(self.fd, 0)


class _Pickler(pickle.Pickler):
    """Arrays are kept out of the pickle by themselves; tensors are made to be."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not Tensor or value.device.type != "cpu" or value.layout != torch.strided:
            return NotImplemented  # a Parameter comes here again as the tensor inside it
        # Dimensions in the order of memory, so that channels-last stays what it is.
        strides = value.stride()
        order = sorted(range(value.dim()), key=lambda i: -strides[i])
        dense = value.detach().permute(order).contiguous()
        # An own type for bytes: NumPy knows no bfloat16.
        raw = dense.reshape(-1).view(torch.uint8).numpy()
        return _tensor, (raw, dense.dtype, tuple(dense.shape), tuple(order))


def _tensor(
    raw: NDArray[np.uint8], dtype: torch.dtype, shape: tuple[int, ...], order: tuple[int, ...]
) -> Tensor:
    dense = torch.from_numpy(raw).view(dtype).reshape(shape)
    return dense.permute([order.index(i) for i in range(len(order))])


def _aligned_copy(place: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In memory aligned as torch's own is: sums over data that lies otherwise differ in their last bit."""
    copy = torch.empty(place.size, dtype=torch.uint8).numpy()
    np.copyto(copy, place)
    return copy


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dcfm")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
