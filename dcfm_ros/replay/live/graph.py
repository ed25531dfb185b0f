"""The ROS graph of a live run: what its topics are called, and the commands of the processes that make it up."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcfm_ros.replay.live.recorded import Topics

NODE = "dcfm"
START_PATIENCE = 300.0  # an engine that is built for the first time takes minutes
_LISTENERS = 2  # the player waits for node and recorder


def topics_in(namespace: str) -> Topics:
    """The topics of player, node and recorder below one namespace."""
    return Topics(
        image=f"{namespace}/image",
        mask=f"{namespace}/segmentation/mask",
        timing=f"{namespace}/{NODE}/timing",
        label=f"{namespace}/label",
    )


def recorded_topics(namespace: str) -> Topics:
    """What the recorder's bag holds: images are compressed."""
    topics = topics_in(namespace)
    return dataclasses.replace(topics, image=f"{topics.image}/compressed")


def recorder(namespace: str, bag: Path) -> list[str]:
    """The command that records into `bag`."""
    return [*_module("harness.recorder"), str(bag.resolve()), *_options(vars(topics_in(namespace)))]


def node(namespace: str, parameters: Mapping[str, str]) -> list[str]:
    """The command of the node."""
    names = ["-r", f"__ns:={namespace}", "-r", f"__node:={NODE}"]
    values = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    return [*_module("main"), "--ros-args", *names, *values]


def player(namespace: str, played: Path, options: Mapping[str, Any]) -> list[str]:
    """The command that plays `played`. options: by name; None and False are left out."""
    topics = topics_in(namespace)
    ours = {"image-topic": topics.image, "label-topic": topics.label}
    waiting = {"listeners": _LISTENERS, "patience": START_PATIENCE}
    return [*_module("harness.player"), str(played), *_options({**ours, **waiting, **options})]


def _options(options: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        values = () if value is True else value if isinstance(value, tuple) else (value,)
        words += [f"--{name}", *map(str, values)]
    return words


def _module(name: str) -> list[str]:
    """What runs a module of `node/` as a process of its own."""
    return [sys.executable, "-m", f"dcfm_ros.node.{name}"]
