"""What a student is taught beside the labels: soft labels, a teacher's probabilities, or the mean of both."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_lab.learn.config import DistillConfig, expanded
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import load_model
from dcfm_ros.model.dcfm import DCFM, normalise
from dcfm_ros.model.shipped import weights_path

FLOOR = 1e-3
"""What a probability of 0 counts as in a geometric mean: soft labels of bytes hold none below 3 / 255."""


class Teachers:
    """Everything a configuration has a student taught by; `classes` are the student's. Raises DcfmError."""

    def __init__(self, config: DistillConfig, classes: tuple[str, ...], device: torch.device) -> None:
        self.config = config
        self.model = load_teacher(config.teacher, classes).to(device) if config.teacher else None

    @torch.no_grad()
    def taught(self, frames: Tensor, soft: Tensor) -> Tensor:
        """What the frames' pixels are: float32 N×C×H×W, of sum 1, or 0 where nobody says anything.

        frames: uint8 N×3×H×W, augmented. soft: uint8 N×C×H×W, their soft labels, 0 where there are none.
        """
        return combined(
            soft, None if self.model is None else logits_of(self.model, frames), self.config.temperature
        )


def load_teacher(path: str, classes: tuple[str, ...]) -> DCFM:
    """The model in a weights file, which must tell the same classes apart."""
    model = load_model(weights_path(expanded(path, "distill.teacher"))).eval().requires_grad_(False)
    if model.card.classes != classes:
        raise DcfmError(
            f"the teacher '{path}' has the classes {', '.join(model.card.classes)}, the dataset {', '.join(classes)}; they "
            "must be the same, in the same order"
        )
    return model


def logits_of(model: DCFM, frames: Tensor) -> Tensor:
    """Logits of frames (uint8 N×3×H×W) with their own common features, float N×C×h×w."""
    independent = model.encode_independent(normalise(frames, model.card))
    return model.logits(model.encode_common(None, independent), independent)


def combined(soft: Tensor, logits: Tensor | None, temperature: float) -> Tensor:
    """The geometric mean of soft labels and a teacher's probabilities, softened; either alone where the other is missing.

    soft: uint8 N×C×H×W. logits: float N×C×h×w. Returns float32 N×C×H×W of sum 1, or 0 where there is neither.
    """
    total = soft.float().sum(1, keepdim=True)
    # At the edge of the picture, interpolated with the nothing outside, a pixel counts where it is mostly inside.
    known = total > 127
    mean = (soft / total.clamp(min=1.0)).clamp(min=FLOOR).log()
    if logits is not None:
        logits = F.interpolate(logits.float(), soft.shape[2:], mode="bilinear", align_corners=False)
        certain = F.log_softmax(logits, 1)
        mean = torch.where(known, (mean + certain) / 2, certain)
        known = torch.ones_like(known)
    return torch.softmax(mean / temperature, 1) * known
