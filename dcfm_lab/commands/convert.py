"""`dcfm convert`: a published checkpoint into one file that says everything about itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from dcfm_lab.commands.weights_output import add_output, check_output
from dcfm_lab.learn.foreign_weights import read_tensors
from dcfm_lab.learn.published import FEATURES, from_published, infer_config
from dcfm_ros.commands.info import describe
from dcfm_ros.commands.options import add_size
from dcfm_ros.errors import DcfmError, say
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.classes import CLASS_SETS, ClassSet, read_classes
from dcfm_ros.model.config import ModelCard
from dcfm_ros.model.dcfm import numbered_card


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Turn a published DCFM checkpoint (encoder_epoch_N.pth and decoder_epoch_N.pth) into one .safetensors that "
        "carries its whole configuration. Loads tensors only; no code in the files is run."
    )
    parser.add_argument("encoder", type=Path, help="encoder_epoch_N.pth")
    parser.add_argument("decoder", type=Path, help="decoder_epoch_N.pth")
    parser.add_argument(
        "--independent-feature",
        choices=sorted(FEATURES),
        help="which early feature is the independent one; the tensors do not tell (default: vit1, layer1)",
    )
    parser.add_argument(
        "--classes",
        help=f"{', '.join(CLASS_SETS)}, or a YAML or JSON file with name: [r, g, b] in the order of the class ids "
        "(default: the known set of that size, else numbered classes)",
    )
    add_size(parser, "--input-size", "size the network was trained for", ModelCard.input_size)
    parser.add_argument("--name", default="", help="the model's name (default: from the file name)")
    parser.add_argument(
        "--licence", default=ModelCard.licence, help="licence of the weights, with that of their data"
    )
    parser.add_argument("--half", action="store_true", help="store float16")
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Converts, checks the result by loading it, and says what was found."""
    named = args.classes and args.classes not in CLASS_SETS
    check_output(args, [args.encoder, args.decoder, *([Path(args.classes)] if named else [])])
    encoder, decoder = read_tensors(args.encoder), read_tensors(args.decoder)
    config = infer_config(encoder, decoder)
    if args.independent_feature:
        config["independent_feature"] = args.independent_feature
    model = from_published(encoder, decoder, config, _card(args, config["num_classes"]))
    save_model(model, args.output, half=args.half)
    say(describe(model, args.output))
    return 0


def _card(args: argparse.Namespace, num_classes: int) -> ModelCard:
    if args.classes is None:
        card = numbered_card(num_classes)
        classes = ClassSet(card.classes, card.colors)
    else:
        classes = CLASS_SETS.get(args.classes) or read_classes(Path(args.classes))
    if len(classes.names) != num_classes:
        raise DcfmError(
            f"--classes {args.classes} names {len(classes.names)} classes, the checkpoint has {num_classes}"
        )
    return ModelCard(
        name=args.name or args.output.stem,
        classes=classes.names,
        colors=classes.colors,
        input_size=args.input_size,
        licence=args.licence,
        notes=f"converted from {args.encoder.name} and {args.decoder.name}",
    )
