"""How fast is a model of this package against others' work: `dcfm bench` beside the published order and SegFormer.

    python bench/compare.py                                          the model that comes with the package
    python bench/compare.py --backbone mit_b2 --size 853x480 --segformer

All options of `dcfm bench` are there. Ratios are against the published order of operations, in plain torch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rivals import all_entries, compare
from sections import against_table
from segformer import official_width
from suite import recorded

from dcfm_lab.bench.memory import measure_memory
from dcfm_lab.bench.table import part_text
from dcfm_lab.commands.bench import (
    check_writing,
    choices_of,
    configure,
    progress_bar,
    setting_of,
    write,
)
from dcfm_lab.commands.command_line import command_line
from dcfm_ros.errors import DcfmError


def main(argv: list[str]) -> int:
    """Exit status 0: done; 2: a problem the user can act on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    configure(parser)
    parser.epilog = None  # it tells what `dcfm bench` compares
    parser.add_argument(
        "--segformer", action="store_true", help="per-frame SegFormer, too (MiT backbones; transformers)"
    )
    try:
        measure(parser.parse_args(argv), command_line(argv, "python bench/compare.py"))
    except DcfmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(args: argparse.Namespace, command: str) -> None:
    """Measures, tells and writes. Raises DcfmError."""
    setting = setting_of(args)
    if args.segformer and not (args.backbone or "").startswith("mit"):
        raise DcfmError("--segformer needs a MiT backbone, as in --backbone mit_b0: SegFormer has no other")
    widths = (official_width(args.backbone),) if args.segformer else ()
    check_writing(args, setting)
    entries = all_entries(choices_of(args, setting), widths, compiled=args.compile)
    options = {"seconds": args.seconds, "threads": args.threads}
    with progress_bar() as progress:
        part = recorded(
            "quick",
            command,
            lambda: {
                "cases": (compare(setting, entries, **options, **progress),),
                "memory": measure_memory(setting, entries) if args.memory else (),
            },
        )
    print(part_text(part))
    if against := against_table(part.cases[0]):
        print("\n" + against.text())
    write(args, part)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
