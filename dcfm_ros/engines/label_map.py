"""From logits at low resolution to labels at any size: bilinear upsampling and arg-max."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dcfm_ros.engines.base import UNLABELLED, Mask


def label_map(logits: Tensor, size: tuple[int, int], *, confidence: bool = False) -> tuple[Mask, Mask | None]:
    """logits: C×h×w; size: (width, height). Returns the mask and, when asked, the winner's probability, uint8 H×W."""
    full = F.interpolate(logits[None].float(), (size[1], size[0]), mode="bilinear", align_corners=False)[0]
    best, winner = full.max(0)
    mask = winner.to(torch.uint8).masked_fill_(~full.isfinite().all(0), UNLABELLED)
    if not confidence:
        return mask.cpu().numpy(), None
    share = torch.exp(best - torch.logsumexp(full, 0)).nan_to_num_(0)
    return mask.cpu().numpy(), (255 * share).round().to(torch.uint8).cpu().numpy()
