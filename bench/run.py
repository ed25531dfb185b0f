"""Measures everything that `docs/speed.md` tells, part by part, and writes the page.

    python bench/run.py --suite full          all parts, one after the other, then the page
    python bench/run.py --suite mit_b2_vspw   one part; what the others measured stays in the file
    python bench/run.py --page                the page and its plots from what was measured

On a machine with a CUDA GPU `full` measures what the page tells of GPUs, and numbers go into files of their own. Close
what else uses the processor first. `node` needs ROS 2, and `steady` takes the longest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from page import CPU_FILE, GPU_FILE, write_page
from parts import merge_into
from sections import label_map_table
from suite import PARTS, measure_part, usual_parts

from dcfm_lab.bench.contestants import on_gpu
from dcfm_lab.bench.table import part_text
from dcfm_lab.commands.bench import progress_bar

RESULTS = HERE / "results"
NOTES = HERE / "misses.yaml"
PAGE = HERE.parent / "docs" / "speed.md"
SCRIPTS = ("node", "steady")


def main() -> int:
    """Exit status 0: done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("full", *PARTS, *SCRIPTS)
    parser.add_argument(
        "--suite", nargs="+", choices=parts, default=[], metavar="PART", help=", ".join(parts)
    )
    parser.add_argument("--page", action="store_true", help="write docs/speed.md")
    parser.add_argument("--scale", type=float, default=1.0, help="of the time each part takes (default: 1)")
    args = parser.parse_args()
    if not args.suite and not args.page:
        parser.error("nothing to do: give --suite, --page or both")
    full = "full" in args.suite
    usual = (*usual_parts(), "steady") if on_gpu() else (*usual_parts(), *SCRIPTS)
    for name in usual if full else args.suite:
        if name in SCRIPTS:
            subprocess.run([sys.executable, HERE / f"{name}.py"], check=True)
        else:
            measure(name, RESULTS / (GPU_FILE if on_gpu() else CPU_FILE), args.scale)
    if full or args.page:
        for path in write_page(RESULTS, NOTES, PAGE):
            print(f"wrote {path.relative_to(HERE.parent)}")
    return 0


def measure(name: str, path: Path, scale: float) -> None:
    """Measures one part of the suite, tells it, and puts it into the JSON file. scale: of the time it takes."""
    with progress_bar() as progress:
        part = measure_part(name, **progress, scale=scale)
    print(part_text(part))
    if part.label_maps:
        print("\n" + label_map_table(part.label_maps).text())
    merge_into(path, part, PARTS)
    print(f"wrote {path}\n")


if __name__ == "__main__":
    sys.exit(main())
