"""`dcfm info`: what an issue report needs to know of this machine; `dcfm info FILE`: what is in a weights file."""

from __future__ import annotations

import argparse
import importlib.util
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dcfm_ros.cache import file_digest
from dcfm_ros.errors import say
from dcfm_ros.measure.table import size

if TYPE_CHECKING:
    from dcfm_ros.model.dcfm import DCFM


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        help="a model by name (`dcfm models`) or a weights file; default: this installation",
    )


def run(args: argparse.Namespace) -> int:
    """Prints facts, one a line. Raises DcfmError for a file that is no weights file."""
    # Imported here: with torch it takes seconds, which `--help` does not need.
    from dcfm_ros.model.checkpoint import load_model
    from dcfm_ros.model.shipped import weights_path

    if args.file is None:
        for name, text in facts().items():
            say(f"{name:<16} {text}")
        say("\nthe weights that come with the package:")
    path = weights_path(args.file)
    say(describe(load_model(path), path))
    return 0


def describe(model: DCFM, path: Path) -> str:
    """A few lines that say what a weights file holds."""
    config, card = model.config, model.card
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return "\n".join(
        (
            f"{path.name} ({path.stat().st_size / 1e6:.1f} MB, sha256 {file_digest(path)[:16]})",
            f"  name         {card.name}",
            f"  backbone     {config.backbone}, {parameters / 1e6:.1f} M parameters in all",
            f"  independent  {config.independent_feature}, {model.independent_channels} channels into the fusion",
            f"  classes      {config.num_classes}: {', '.join(card.classes)}",
            f"  input size   {size(card.input_size)}",
            f"  alignment    {card.align}",
            f"  licence      {card.licence}",
            *([f"  accuracy     {card.accuracy}"] if card.accuracy else []),
            *([f"  notes        {card.notes}"] if card.notes else []),
        )
    )


def facts() -> dict[str, str]:
    """Machine, libraries, ROS, and the engine that `auto` takes, by the name that people call it."""
    from dcfm_ros.engines.config import EngineConfig
    from dcfm_ros.engines.factory import choose
    from dcfm_ros.measure.machine import LIBRARIES, this_machine

    machine = this_machine()
    known = asdict(machine)
    absent = ", ".join(name for name in LIBRARIES if not known[name])
    engine, why = choose(EngineConfig())
    return {
        **machine.words(),
        "ROS": _ros(),
        "Engine": f"{engine} ({why})",
        "Devices": _devices(),
        **({"not installed": absent} if absent else {}),
    }


def _ros() -> str:
    """Distribution, middleware and what of the node's own is there."""
    if not importlib.util.find_spec("rclpy"):
        return "none"
    built = importlib.util.find_spec("dcfm_ros.msg")
    labels = importlib.util.find_spec("vision_msgs")
    parts = [
        os.environ.get("ROS_DISTRO") or "from wheels",
        os.environ.get("RMW_IMPLEMENTATION") or "default middleware",
        f"messages {'built' if built else 'not built'}",
        *([] if labels else ["no vision_msgs"]),
    ]
    return ", ".join(parts)


def _devices() -> str:
    """What the engines that are installed can run on."""
    import torch

    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if importlib.util.find_spec("openvino"):
        from dcfm_ros.engines.graph.openvino import import_openvino

        devices += [f"{name} (OpenVINO)" for name in import_openvino().Core().available_devices]
    return ", ".join(devices)
