"""What the C library does with memory that is freed: torch takes and frees a frame's maps on every frame."""

from __future__ import annotations

import ctypes
import functools

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
KEPT_BYTES = 512 << 20


def share_one_heap() -> bool:
    """Has all threads to come take memory from one heap. False where the C library cannot.

    Each of several would keep what its threads have freed; the middleware's, OpenVINO's and the workers' are dozens.
    """
    return _set((M_ARENA_MAX, 1))


@functools.cache
def keep_freed_memory() -> bool:
    """Has this process keep what it frees, up to KEPT_BYTES, for its next frame. False where the C library cannot.

    glibc hands large pieces back to the system at once, which clears them, page by page, when they are wanted again:
    that can take longer than computing the frame. What each thread keeps for itself is small, so there is one heap for
    all threads that have none yet.
    """
    return _set((M_TRIM_THRESHOLD, KEPT_BYTES), (M_MMAP_MAX, 0)) and share_one_heap()


def _set(*settings: tuple[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(*setting) for setting in settings)


def give_freed_memory_back() -> bool:
    """Have this process hand back what it keeps for frames that will not come: to be called where a stream ends.

    What each stream and its threads have freed lies in pieces between that of others, and every new one took new memory.
    False where the C library cannot.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return False
    return True
