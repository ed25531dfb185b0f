"""The doors of the tests, tried with inputs that are steered by which branches of this package they reach.

    pip install atheris
    python test/fuzz/guided.py 10                                   ten minutes, over all doors; `make fuzz` does this, too
    python test/fuzz/guided.py test_compressed_images_of_any_bytes  one door, until Ctrl-C; further words are libFuzzer's

Hypothesis makes the tests' values from the bytes that atheris comes up with. Tests that need files of pytest's are left out.
Exit status 0: no fault was found. A fault ends it with its traceback.
"""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "replay"), str(HERE)]


def doors():
    """The tests by name. What they import of this package is instrumented."""
    with atheris.instrument_imports(include=["dcfm_ros", "dcfm_lab"]):
        modules = [importlib.import_module(path.stem) for path in sorted(HERE.glob("test_*_doors.py"))]
    return {
        name: test
        for module in modules
        for name, test in vars(module).items()
        if hasattr(test, "is_door") and not inspect.signature(test).parameters
    }


def try_all(minutes):
    """Each door in a process of its own: atheris ends the one it runs in."""
    names = list(doors())
    for name in names:
        seconds = max(1, round(60 * minutes / len(names)))
        words = [sys.executable, __file__, name, f"-max_total_time={seconds}", "-verbosity=0"]
        print(f"{name}, {seconds} s", flush=True)
        if status := subprocess.run(words).returncode:
            return status
    return 0


def main(words):
    known = doors()
    if words and words[0] in known:
        atheris.Setup([__file__, *words[1:]], known[words[0]].hypothesis.fuzz_one_input)
        atheris.Fuzz()
    if len(words) != 1 or not words[0].replace(".", "", 1).isdigit():
        print(f"{__doc__}\nThe doors: {', '.join(known)}", file=sys.stderr)
        return 2
    return try_all(float(words[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
