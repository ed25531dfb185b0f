"""Peak memory of a contestant, in a process of its own: `python -m dcfm_ros.bench.memory SETTING_AND_ENTRY_AS_JSON`."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dcfm_ros.bench.contestants import Builder, Entry, Setting
from dcfm_ros.bench.frames import street
from dcfm_ros.bench.result import MemoryRow
from dcfm_ros.config import from_mapping
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelConfig

TIMEOUT_S = 240


def measure_memory(setting: Setting, entries: Sequence[Entry]) -> tuple[MemoryRow, ...]:
    """One process after another, each with one contestant; those that cannot run here are left out."""
    found = [_measure(setting, entry) for entry in entries]
    return tuple(row for row in found if row is not None)


def _measure(setting: Setting, entry: Entry) -> MemoryRow | None:
    spent = _spent(setting, entry)
    if spent and entry.engine != "torch":
        # The first process may have built graphs, which leaves memory behind.
        spent = _spent(setting, entry)
    if spent is None:
        return None
    return MemoryRow(
        setting.name,
        entry.kind,
        entry.engine,
        entry.precision,
        spent["peak_mib"],
        spent["imports_mib"],
        entry.detail,
    )


def _spent(setting: Setting, entry: Entry) -> dict[str, float] | None:
    """What a process says of itself, None if the contestant cannot run here."""
    task = json.dumps({"setting": asdict(setting), "entry": asdict(entry)})
    done = subprocess.run(
        [sys.executable, "-m", __name__, task], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode == 2:
        return None
    if done.returncode:
        raise DcfmError(f"measuring the memory of {entry} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(argv: Sequence[str]) -> int:
    """Prints what the contestant took as JSON. 2: it cannot run here."""
    task = json.loads(argv[0])
    config = task["setting"].pop("config")
    setting = Setting(
        **{**task["setting"], "size": tuple(task["setting"]["size"])},
        config=from_mapping(ModelConfig, config) if config else None,
    )
    entry = Entry(**task["entry"])
    imports = _peak_mib()
    try:
        builder = Builder(setting)
        contestant = builder.build(entry)
    except DcfmError as error:
        print(error, file=sys.stderr)
        return 2
    _forget_peak()
    for frame in street(builder.model.card.input_size)[:2]:
        contestant.key(frame)
        contestant.other(frame)
    print(json.dumps({"imports_mib": imports, "peak_mib": _peak_mib()}))
    return 0


def _forget_peak() -> None:
    """Loading an engine may take more than running it. Where the kernel cannot forget, its peak counts, too."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
