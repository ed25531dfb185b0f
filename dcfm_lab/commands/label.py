"""`dcfm label`: frames of a recording for CVAT or Label Studio, and what was labelled there as a data set to train on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dcfm_lab.labelling.choose import Choice
from dcfm_ros.commands.options import add_force, add_options, read_options
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError, one_line, say
from dcfm_ros.files import check_apart
from dcfm_ros.replay.job import Job


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares `prepare` and `collect`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "choose frames, pre-label them with a model, and write what CVAT and Label Studio import"
    prepare = actions.add_parser("prepare", help=summary, description=f"{summary.capitalize()}.")
    prepare.add_argument("recording", type=Path, help="bag, video or folder of images")
    prepare.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to make")
    add_options(prepare, Choice)
    add_options(prepare, Job, only=("topic", "weights"))
    add_options(prepare, EngineConfig, only=("classes_file",))
    prepare.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="YAML file of the classes to label, name: [red, green, blue]; those that the model knows by the same name are "
        "pre-labelled (default: the model's classes)",
    )
    summary = "put exported labels beside their recording, as config/train/recordings.yaml reads them"
    collect = actions.add_parser("collect", help=summary, description=f"{summary.capitalize()}.")
    collect.add_argument("folder", type=Path, help="the folder that `prepare` made")
    collect.add_argument(
        "export",
        type=Path,
        help="'Segmentation mask 1.1' of CVAT (zip or folder), or 'JSON' of Label Studio",
    )
    collect.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of the data set")
    collect.add_argument("--split", default="train", help="train, val or test (default: %(default)s)")
    collect.add_argument("--name", default="", help="of the recording in the data set (default: its own)")
    add_force(collect)


def run(args: argparse.Namespace) -> int:
    """Returns 0, or 2 where fewer frames were chosen, or labels found, than there should be."""
    problems = _prepare(args) if args.action == "prepare" else _collect(args)
    for problem in problems:
        say(f"dcfm: {one_line(problem)}", file=sys.stderr)
    return 2 if problems else 0


def _prepare(args: argparse.Namespace) -> list[str]:
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_lab.labelling.choose import chosen, write_work
    from dcfm_lab.labelling.cvat import LABELS, ZIP
    from dcfm_lab.labelling.label_studio import INTERFACE, TASKS
    from dcfm_lab.labelling.overview import OVERVIEW
    from dcfm_lab.labelling.work import IMAGES, is_free, whole_folder
    from dcfm_ros.engines.factory import create_engine
    from dcfm_ros.measure.table import counted
    from dcfm_ros.media.open_source import open_source
    from dcfm_ros.model.classes import ClassSet, read_classes

    folder: Path = args.output
    if not is_free(folder):
        raise DcfmError(f"The output {folder} is not empty; give a folder that is, or does not exist.")
    check_apart(folder, [args.recording])
    engine = create_engine(args.weights or "", read_options(args, EngineConfig))
    classes = (
        read_classes(args.classes) if args.classes else ClassSet(engine.card.classes, engine.card.colors)
    )
    with open_source(args.recording, args.topic) as source:
        if source.kind == "camera":
            raise DcfmError("A camera's frames do not come again; record them first.")
        names, problems = chosen(source, read_options(args, Choice))
        with whole_folder(folder) as made:
            write_work(made, source, names, engine, classes)
    known = [name for name in classes.names if name in engine.card.classes]
    say(
        f"{counted(len(names), 'frame')} in {folder / IMAGES}; pre-labelled, see {folder / OVERVIEW}: {', '.join(known) or 'nothing'}\n"
        f"CVAT: {folder / LABELS} into the 'Raw' labels of a new project, {folder / ZIP} as its dataset, 'Segmentation mask 1.1'\n"
        f"Label Studio: {folder / INTERFACE} as the labelling interface's code, then import {folder / TASKS}; {folder} must lie in "
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT\n"
        f"then: dcfm label collect {folder} EXPORT -o DATA"
    )
    return problems


def _collect(args: argparse.Namespace) -> list[str]:
    from dcfm_lab.labelling.collect import exported, write_data_set
    from dcfm_lab.labelling.work import load_work
    from dcfm_ros.measure.table import counted

    for what, word in (("--split", args.split), ("--name", args.name)):
        if "/" in word or word in (".", ".."):
            raise DcfmError(f"{what} is '{word}'; expected a name without a slash")
    work, classes = load_work(args.folder)
    masks, problems = exported(args.export, work, classes)
    folder = write_data_set(args.output, args.split, args.name, work, classes, masks, force=args.force)
    topic = f" train.0.options.topic={work.topic}" if work.topic else ""
    say(
        f"{counted(len(masks), 'label')} of {counted(len(work.frames), 'frame')} in {folder}\n"
        f"then: DCFM_RECORDINGS={args.output} dcfm train config/train/recordings.yaml{topic}"
    )
    return problems
