"""The state of a training on disk: all that is needed to go on as if it had never stopped.

Random numbers are no part of it. Samples and dropout are functions of the seed and the step (see `samples`, `train`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dcfm_lab.learn.config import TrainConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.files import whole_file

NAME = "state.pt"


def save_state(folder: Path, step: int, config: TrainConfig, parts: Mapping[str, Any]) -> None:
    """Writes `parts` (objects with a `state_dict`), the step and the configuration to `folder`/state.pt.

    Killed at whatever moment, it leaves either the state before or the new one, whole. Raises OSError.
    """
    state = {
        "step": step,
        "config": asdict(config),
        **{name: part.state_dict() for name, part in parts.items()},
    }
    with whole_file(folder / NAME) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # what PyTorch makes of a file that cannot be written any further
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def load_state(folder: Path, parts: Mapping[str, Any]) -> int:
    """Puts the state in `folder` back into `parts`; returns how many steps had been done.

    Learning rates, weight decay and the like stay as configured now. Raises DcfmError where there is no state, or it is
    damaged or of another model.
    """
    path = folder / NAME
    if not path.is_file():
        raise DcfmError(
            f"nothing to resume: '{path}' does not exist; leave out --resume, or set out= to its folder"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            content = state[name]
            if isinstance(part, torch.optim.Optimizer):
                content = {"state": content["state"], "param_groups": part.state_dict()["param_groups"]}
            part.load_state_dict(content)
    except Exception as error:  # the unpickler raises whatever the bytes provoke
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DcfmError(f"'{path}' cannot be resumed with this configuration: {reason}") from error
    return int(state["step"])


def steps_done(folder: Path) -> int | None:
    """How many steps the state in `folder` has had; None where there is no state."""
    path = folder / NAME
    return int(torch.load(path, map_location="cpu", weights_only=True)["step"]) if path.is_file() else None
