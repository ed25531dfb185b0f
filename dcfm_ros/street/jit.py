"""How the pixel loops are compiled: to machine code by Numba, once per machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dcfm_ros.errors import DcfmError

try:
    from numba import njit
except ImportError as error:
    raise DcfmError(
        "The synthetic drive is rendered with Numba, which is not installed: pip install numba."
    ) from error

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compiles a loop over pixels; it releases the interpreter lock and its machine code is kept on disk."""
    compiled: F = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)(function)
    return compiled
