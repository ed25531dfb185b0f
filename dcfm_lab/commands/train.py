"""`dcfm train`: a training as its configuration file says, resumable."""

from __future__ import annotations

import argparse

from dcfm_ros.errors import say


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="config/train/NAME.yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="e.g. optim.lr=1e-4 train.0.root=/data/camvid"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the state in the output folder")


def run(args: argparse.Namespace) -> int:
    from dcfm_lab.learn.config import load_config
    from dcfm_lab.learn.train import train

    weights = train(load_config(args.config, args.overrides), resume=args.resume)
    say(f"weights: {weights}")
    return 0
