"""`dcfm mean`: the weighted mean of models that come from one another, as one model."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from dcfm_lab.learn.config import read_pair
from dcfm_ros.commands.info import describe
from dcfm_ros.commands.options import add_force
from dcfm_ros.errors import DcfmError, say
from dcfm_ros.files import check_outputs
from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.shipped import weights_path


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The weighted mean of the weights of models of one architecture, of which one was trained from the other "
        "(Wortsman et al. 2022, arXiv 2109.01903): it keeps most of what each knows. The card is that of the first."
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL=SHARE",
        help="a weights file or a name of `dcfm models`, and its share, as in street=0.7; they add up to 1",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .safetensors to write")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the mean and says what it is. Raises DcfmError for models that differ and shares that make no sense."""
    if args.output.suffix != ".safetensors":
        raise DcfmError(f"--output is '{args.output}'; expected a name that ends in .safetensors")
    shares = [read_share(text) for text in args.models]
    if not math.isclose(sum(share for _, share in shares), 1.0, abs_tol=1e-6):
        told = " + ".join(f"{share:g}" for _, share in shares)
        raise DcfmError(f"the shares {told} do not add up to 1; give each model its part of 1")
    paths = [weights_path(name) for name, _ in shares]
    check_outputs([args.output], force=args.force, read=paths)
    model = mean(
        [(str(path), load_model(path), share) for path, (_, share) in zip(paths, shares, strict=True)]
    )
    save_model(model, args.output)
    say(describe(model, args.output))
    return 0


def read_share(text: str) -> tuple[str, float]:
    """MODEL=SHARE; the last sign counts, since paths may have some. Raises DcfmError."""
    name, sign, share = text.rpartition("=")
    number = read_pair(f"share={share}")[1] if sign and name else None
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number <= 1:
        raise DcfmError(f"'{text}' is no MODEL=SHARE; expected a share above 0 and up to 1, as in street=0.7")
    return name, float(number)


@torch.no_grad()
def mean(models: list[tuple[str, DCFM, float]]) -> DCFM:
    """The first model (name, model, share) with the mean of all weights and batch norm statistics.

    Raises DcfmError for another architecture or other classes than the first one's: their weights do not correspond.
    """
    first, result, share = models[0]
    for name, model, _ in models[1:]:
        if (model.config, model.card.classes) != (result.config, result.card.classes):
            raise DcfmError(
                f"'{name}' and '{first}' differ in architecture or classes; only weights of the same can be averaged"
            )
    others = [(model.state_dict(), share) for _, model, share in models[1:]]
    for name, value in result.state_dict().items():
        if value.is_floating_point():
            total = share * value.double() + sum(part * theirs[name].double() for theirs, part in others)
            value.copy_(total)
    return result
