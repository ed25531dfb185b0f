"""How long each stage of a network in plain torch takes, on a CPU or a GPU."""

from __future__ import annotations

import torch

from dcfm_ros.stream.segmentation import Stopwatch

CPU = torch.device("cpu")


class Stages(Stopwatch):
    """A stopwatch that waits for what `device` still computes before it looks."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def lap(self) -> float:
        """ms since the last call, the device's work included."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return super().lap()
