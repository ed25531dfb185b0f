"""Tests of the doors get memory that is bounded, and under `make fuzz` a share of the time each."""

import contextlib
import inspect
import resource
import sys
from pathlib import Path

import pytest
from doors import MINUTES, TRIED, rounds

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "replay"))

_MEMORY_KB = 700_000
_share_s = 0.0


def pytest_collection_modifyitems(items):
    """Under `make fuzz` the minutes are shared out, and a test may take its own and three minutes to simplify a fault."""
    global _share_s
    doors = [item for item in items if _is_door(item)]
    if MINUTES:
        _share_s = 60 * MINUTES / max(1, len(doors))
        for item in doors:
            item.add_marker(pytest.mark.timeout(_share_s + 180))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Round after round of examples, then a look at the memory that they took."""
    if not _is_door(pyfuncitem):
        return None
    before = _peak_kb()
    names = inspect.signature(pyfuncitem.obj).parameters
    for _ in rounds(_share_s):
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    assert _peak_kb() - before < _MEMORY_KB
    return True


def pytest_terminal_summary(terminalreporter):
    if MINUTES:
        for name, count in TRIED.items():
            terminalreporter.write_line(f"{count:9} examples of {name}")


def _is_door(item):
    return hasattr(getattr(item, "obj", None), "is_door")


def _peak_kb():
    """The most memory so far; Linux then begins anew."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak
