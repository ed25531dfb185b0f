"""Peak memory of a contestant, which has a process to itself."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from dcfm_ros.arrays import Image
from dcfm_ros.bench.contestants import Entry, Setting
from dcfm_ros.bench.frames import street
from dcfm_ros.bench.own_process import OwnProcess
from dcfm_ros.bench.result import MemoryRow
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
                OwnProcess(setting, entry).close()
            contestant = OwnProcess(setting, entry)
        except DcfmError as error:
            logger.debug("%s is left out: %s", entry, error)
            continue
        with contextlib.closing(contestant):
            found.append(_measured(setting, entry, contestant, frames))
    return tuple(found)


def _measured(setting: Setting, entry: Entry, contestant: OwnProcess, frames: Sequence[Image]) -> MemoryRow:
    for frame in frames:
        contestant.key(frame)
        contestant.other(frame)
    peak, imports = contestant.peak_mib(), contestant.imports_mib
    return MemoryRow(setting.name, entry.kind, entry.engine, entry.precision, peak, imports, entry.detail)
