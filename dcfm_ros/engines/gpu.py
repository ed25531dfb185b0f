"""Whether torch can use a GPU here."""

from __future__ import annotations

import logging

import torch

logger = logging.getLogger(__name__)


def first_gpu() -> torch.device | None:
    """The first CUDA GPU, if this torch has code for it; a warning says so if it has not."""
    if not torch.cuda.is_available():
        return None
    device = torch.device("cuda")
    try:
        (torch.zeros(1, device=device) + 1).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        logger.warning("torch %s cannot use the GPU, the CPU is taken: %s", torch.__version__, reason)
        return None
    return device
