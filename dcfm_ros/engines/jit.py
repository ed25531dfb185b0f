"""Loops over pixels to machine code, by Numba, once per machine. Importing this needs Numba."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compiles a function at its first call. It runs without the interpreter lock.

    Its machine code is kept beside the source, else in the user's cache folder or in NUMBA_CACHE_DIR; where none of
    them can be written, every process compiles again.
    """
    return _compiled(function, {})


def fused_kernel(function: F) -> F:
    """`kernel` that may round a product and a sum at once, where the processor can: faster, and not the same on each."""
    return _compiled(function, {"fastmath": {"contract"}})


def _compiled(function: F, more: dict[str, Any]) -> F:
    options = {"nogil": True, "error_model": "numpy", **more}
    try:
        compiled: F = njit(cache=True, **options)(function)
    except RuntimeError as error:
        logger.warning("%s is compiled again in every process: %s", function.__name__, error)
        compiled = njit(**options)(function)
    return compiled
