"""Peak memory of a contestant, which has a process to itself."""

from __future__ import annotations

import contextlib
import logging
import resource
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from dcfm_lab.bench.contestants import Entry, Setting
from dcfm_lab.bench.frames import street
from dcfm_lab.bench.result import MemoryRow
from dcfm_ros.arrays import Image
from dcfm_ros.errors import DcfmError

logger = logging.getLogger(__name__)


def measure_memory(setting: Setting, entries: Sequence[Entry]) -> tuple[MemoryRow, ...]:
    """One process after another, each with one contestant; those that cannot run here are left out."""
    frames = street(setting.model().card.input_size)[:2]
    found = []
    for entry in entries:
        try:
            if entry.engine != "torch":
                # This process may build graphs, which leaves memory behind: the next one finds them built.
                in_own_process(setting, entry, ())
            peak, imports = in_own_process(setting, entry, frames)
        except (DcfmError, BrokenProcessPool) as error:
            logger.debug("%s is left out: %s", entry, error)
            continue
        found.append(MemoryRow(*entry.names, case=setting.name, peak_mib=peak, imports_mib=imports))
    return tuple(found)


def in_own_process(setting: Setting, entry: Entry, frames: Sequence[Image]) -> tuple[float, float]:
    """A process's peak memory in MiB while it segments the frames, and before there was a model.

    Raises DcfmError, with the reason, for what cannot run here.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_segment, setting, entry, frames).result()


def _segment(setting: Setting, entry: Entry, frames: Sequence[Image]) -> tuple[float, float]:
    imports_mib = _peak_mib()
    contestant = entry.build(setting)
    _forget_peak()
    for frame in frames:
        contestant.key(frame)
        contestant.other(frame)
    return _peak_mib(), imports_mib


def _forget_peak() -> None:
    """Loading an engine may take more memory than running it. Where the kernel cannot forget, its peak counts, too."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    # It forgets nothing.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
