"""`dcfm models`: the models that come with the package, by the name that stands for a weights file everywhere."""

from __future__ import annotations

import argparse
import statistics
from typing import TYPE_CHECKING

from dcfm_ros.errors import say

if TYPE_CHECKING:
    from dcfm_ros.model.dcfm import DCFM

FRAMES = 40
INTERVAL = 4
"""A key frame every so many of them."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The models that come with the package. Their names stand for a weights file everywhere: `dcfm replay --weights "
        "NAME`, `weights:=NAME` for the node. What a frame takes is measured here, with the engine that `auto` takes."
    )


def run(args: argparse.Namespace) -> int:
    """Prints a row for each model."""
    # Imported here: with torch they take seconds, which `--help` does not need.
    from dcfm_ros.measure.table import Table, number
    from dcfm_ros.measure.table import size as size_in_words
    from dcfm_ros.model.checkpoint import load_model
    from dcfm_ros.model.shipped import ACCURACY, MODELS, weights_path

    rows = []
    for name in MODELS:
        path = weights_path(name)
        model = load_model(path)
        card, (key, other) = model.card, milliseconds(model)
        rows.append(
            (
                name,
                f"{path.stat().st_size / 1e6:.1f}",
                size_in_words(card.input_size),
                str(len(card.classes)),
                card.accuracy or ACCURACY.get(name, "not stated"),
                number(key),
                number(other),
                card.licence.partition(" (")[0],
            )
        )
    head = (
        "name",
        "MB",
        "input",
        "classes",
        "mIoU on CamVid, %",
        "key frame, ms",
        "other frame, ms",
        "licence",
    )
    say(Table(head, tuple(rows)).text())
    say("\nThe first one is taken where none is named. `dcfm info NAME` tells more.")
    return 0


def milliseconds(model: DCFM) -> tuple[float, float]:
    """What a key frame and another frame take here: medians over FRAMES pictures of noise."""
    import numpy as np

    from dcfm_ros.engines.factory import create_engine
    from dcfm_ros.stream.config import StreamConfig
    from dcfm_ros.stream.segmenter import StreamSegmenter
    from dcfm_ros.stream.trigger_grammar import OFF

    width, height = model.card.input_size
    rng = np.random.default_rng(0)
    config = StreamConfig(mode="inline", **{**OFF, "key_interval": INTERVAL})
    times: dict[bool, list[float]] = {True: [], False: []}
    with StreamSegmenter(create_engine(model), config) as stream:
        for index in range(FRAMES):
            noise = rng.integers(0, 256, (height, width, 3), np.uint8)
            done = stream.step(noise, index + 1)
            if index >= 2 * INTERVAL:  # what came first compiled and filled caches
                times[done.key_frame].append(done.timing.total)
    return statistics.median(times[True]), statistics.median(times[False])
