"""`dcfm mean`: the weighted mean of models that come from one another, as one model."""

from __future__ import annotations

import argparse
import math

import torch
from torch import Tensor

from dcfm_lab.commands.weights_output import add_output, check_output
from dcfm_ros.commands.info import describe
from dcfm_ros.errors import DcfmError, say
from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.dcfm import DCFM
from dcfm_ros.model.shipped import weights_path

ALIKE = 0.9
"""Cosine between the kernels of two models, above which one comes from the other: `camvid` and `street` have 0.996, two MobileNetV2
that were trained apart from the same ImageNet weights 0.75, two that began at random 0."""


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
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the mean and says what it is. Raises DcfmError for models that differ and shares that make no sense."""
    shares = [read_share(text) for text in args.models]
    if not math.isclose(sum(share for _, share in shares), 1.0, abs_tol=1e-6):
        told = " + ".join(f"{share:g}" for _, share in shares)
        raise DcfmError(f"the shares {told} do not add up to 1; give each model its part of 1")
    paths = [weights_path(name) for name, _ in shares]
    check_output(args, paths)
    models = [load_model(path) for path in paths]
    for (name, _), model in zip(shares[1:], models[1:], strict=True):
        compare(shares[0][0], models[0], name, model)
    save_model(mean(models, [share for _, share in shares]), args.output)
    say(describe(models[0], args.output))
    return 0


def read_share(text: str) -> tuple[str, float]:
    """MODEL=SHARE; the last sign counts, since paths may have some. Raises DcfmError."""
    name, _, share = text.rpartition("=")
    try:
        number = float(share)
    except ValueError:
        number = math.nan
    if not name or not 0 < number <= 1:
        raise DcfmError(f"'{text}' is no MODEL=SHARE; expected a share above 0 and up to 1, as in street=0.7")
    return name, number


def compare(first: str, model: DCFM, second: str, other: DCFM) -> None:
    """Raises DcfmError for models whose weights do not correspond, and says where they can hardly be averaged."""
    for what, one, two in (
        ("architecture", model.config, other.config),
        ("classes", model.card.classes, other.card.classes),
        ("normalisation", (model.card.mean, model.card.std), (other.card.mean, other.card.std)),
    ):
        if one != two:
            raise DcfmError(
                f"'{second}' and '{first}' differ in {what}; only weights of the same can be averaged"
            )
    if (alike := float(torch.cosine_similarity(kernels(model), kernels(other), 0))) < ALIKE:
        say(
            f"warning: '{second}' and '{first}' seem not to come from one another (their kernels are alike by {alike:.2f}, expected "
            f"{ALIKE} to 1); their mean may know nothing: measure it"
        )


def kernels(model: DCFM) -> Tensor:
    """The weights of all convolutions, one after the other: float64."""
    return torch.cat([value.flatten() for value in model.state_dict().values() if value.dim() == 4]).double()


@torch.no_grad()
def mean(models: list[DCFM], shares: list[float]) -> DCFM:
    """The first model, whose weights and batch norm statistics become the means of all models'."""
    others = [(model.state_dict(), share) for model, share in zip(models[1:], shares[1:], strict=True)]
    for name, value in models[0].state_dict().items():
        if value.is_floating_point():
            rest = sum(theirs[name].double() * share for theirs, share in others)
            value.copy_(value.double() * shares[0] + rest)
    return models[0]
