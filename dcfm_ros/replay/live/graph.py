"""The ROS graph of a live run: what its topics are called, and the commands of the processes that make it up."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcfm_ros.replay.live.recorded import Topics

NODE = "dcfm"
START_PATIENCE = 300.0  # an engine that is built for the first time takes minutes
_LISTENERS = 2  # the player waits for node and recorder


@dataclass(frozen=True)
class Graph:
    """Player, node and recorder below one namespace."""

    namespace: str

    @property
    def topics(self) -> Topics:
        """Names of their topics."""
        return Topics(
            image=f"{self.namespace}/image",
            mask=f"{self.namespace}/segmentation/mask",
            timing=f"{self.namespace}/{NODE}/timing",
            label=f"{self.namespace}/label",
        )

    @property
    def recorded(self) -> Topics:
        """What the recorder's bag holds: images are compressed."""
        return dataclasses.replace(self.topics, image=f"{self.topics.image}/compressed")

    def recorder(self, bag: Path) -> list[str]:
        """The command that records into `bag`."""
        named = [word for name, topic in vars(self.topics).items() for word in (f"--{name}", topic)]
        return [*_module("harness.recorder"), str(bag.resolve()), *named]

    def node(self, parameters: Sequence[str]) -> list[str]:
        """The command of the node. parameters: as NAME:=VALUE."""
        names = ["-r", f"__ns:={self.namespace}", "-r", f"__node:={NODE}"]
        values = [word for parameter in parameters for word in ("-p", parameter)]
        return [*_module("main"), "--ros-args", *names, *values]

    def player(self, played: Path, options: Mapping[str, Any], *flags: str) -> list[str]:
        """The command that plays `played`. options: by name, None is left out."""
        topics = ["--image-topic", self.topics.image, "--label-topic", self.topics.label]
        waiting = ["--listeners", str(_LISTENERS), "--patience", str(START_PATIENCE)]
        given = [
            word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))
        ]
        return [*_module("harness.player"), str(played), *topics, *waiting, *given, *flags]


def _module(name: str) -> list[str]:
    """What runs a module of `node/` as a process of its own."""
    return [sys.executable, "-m", f"dcfm_ros.node.{name}"]
