"""All that changes while a training runs, and one step of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dcfm_lab.learn.config import TrainConfig
from dcfm_lab.learn.distill import Teachers
from dcfm_lab.learn.losses import Losses, Truth, symmetric_losses
from dcfm_lab.learn.optimiser import Average, Schedule, build_optimiser
from dcfm_lab.learn.processes import Processes
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.dcfm import DCFM, normalise

SINGLE_VALUE = "more than 1 value per channel"
"""What PyTorch's batch norm says where there is nothing to take a mean of."""


class Learner:
    """A model on its way, its running average and its optimiser.

    `state`: what has to be kept to go on later, by name. `taught`: what the last step's frames were taught beside their
    labels, see `distill`, or None.
    """

    def __init__(self, model: DCFM, config: TrainConfig, weight: Tensor | None, processes: Processes) -> None:
        device = processes.device
        self.config, self.processes = config, processes
        self.model = model.to(device)
        if config.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Average(self.model, config.ema_decay)
        self.optimiser = build_optimiser(self.model, config.optim)
        self.schedule = Schedule(self.optimiser, config.steps, config.optim)
        self.teachers = (
            Teachers(config.distill, model.card.classes, device) if config.distill.weight > 0 else None
        )
        self.taught: Tensor | None = None
        self.half = autocast_type(device)
        scales = config.amp and self.half == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, enabled=scales)
        forward = TrainingPass(self.model, config, weight).to(device)
        self.forward = processes.together(forward, config.freeze_norm)
        self.state: dict[str, Any] = {
            "model": self.model,
            "average": self.average.model,
            "optimiser": self.optimiser,
            "scaler": self.scaler,
        }
        self.model.train()
        if config.freeze_norm:
            freeze_norm(self.model)

    @property
    def rate(self) -> float:
        """The head's learning rate."""
        return float(self.optimiser.param_groups[-1]["lr"])

    def step(self, number: int, batch: Sequence[Tensor]) -> Losses:
        """One step, from 1, on (frames, neighbours, target, soft labels, displacement) as `samples` makes them.

        Raises FloatingPointError where loss or gradient is not finite, before it reaches the weights, and DcfmError
        where a batch is too small for batch norm.
        """
        # Dropout, too, depends on the step and not on what happened before.
        torch.manual_seed((self.config.seed * 1_000_003 + number) * 4096 + self.processes.rank)
        self.schedule.set(number - 1)
        losses = self._losses(batch)
        self._must_be_finite("loss", losses.total, number)
        self.optimiser.zero_grad()
        self.scaler.scale(losses.total).backward()
        self.scaler.unscale_(self.optimiser)
        limit = self.config.optim.clip_norm or math.inf
        length = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        if not self.scaler.is_enabled():  # which leaves such a step out and goes on with smaller numbers
            self._must_be_finite("gradient", length, number)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.update(self.model, number)
        return losses

    def _losses(self, batch: Sequence[Tensor]) -> Losses:
        device, card = self.processes.device, self.model.card
        frames, neighbours, target, soft, moved = (part.to(device, non_blocking=True) for part in batch)
        mixed = self.config.amp and self.half is not None
        try:
            with torch.autocast(device.type, self.half, enabled=mixed):
                self.taught = self.teachers.taught(frames, soft) if self.teachers else None
                images = normalise(frames, card), normalise(neighbours, card)
                losses: Losses = self.forward(*images, target, self.taught, moved if moved.numel() else None)
        except ValueError as error:
            if SINGLE_VALUE not in str(error):
                raise
            raise DcfmError(
                f"a batch of {len(frames)} in each process, without neighbours, is too small for batch norm; set batch= "
                "to 2 or more, or freeze_norm=true"
            ) from error
        return losses

    def _must_be_finite(self, what: str, value: Tensor, number: int) -> None:
        plain = float(value.detach())
        if not math.isfinite(plain):
            raise FloatingPointError(f"the {what} of step {number} is {plain}")


class TrainingPass(nn.Module):
    """The model and its losses as one module with a `forward`, which is what DDP wraps."""

    class_weight: Tensor | None

    def __init__(self, model: DCFM, config: TrainConfig, weight: Tensor | None) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.register_buffer("class_weight", weight)

    def forward(
        self,
        frames: Tensor,
        neighbours: Tensor,
        target: Tensor,
        taught: Tensor | None,
        displacement: Tensor | None,
    ) -> Losses:
        truth = Truth(target, self.class_weight, taught, self.config.distill)
        return symmetric_losses(self.model, frames, neighbours, truth, self.config.loss, displacement)


def freeze_norm(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()


def autocast_type(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the device computes in it, else float16 on a GPU, else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else None
