"""The processes that train together, and their devices."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dcfm_lab.learn.config import TrainConfig
from dcfm_ros.errors import DcfmError, say

UNSYNCHRONISED = (
    "PyTorch synchronises batch norms on GPUs only: here each process normalises by its own part of the batch, and what "
    "is trained differs from what one process would train; freeze_norm=true avoids it"
)


@dataclass(frozen=True)
class Processes:
    """This process's rank, how many processes there are (as `torchrun` says), and its device."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def together(self, module: nn.Module, freeze_norm: bool) -> nn.Module:
        """`module` so that every process takes the same step; itself where there is one process."""
        if self.count == 1:
            return module
        cuda = self.device.type == "cuda"
        if cuda:
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        elif self.first and not freeze_norm:
            say(UNSYNCHRONISED)
        return DistributedDataParallel(module, device_ids=[self.device.index] if cuda else None)

    def leave(self) -> None:
        if self.count > 1:
            dist.destroy_process_group()


def join_processes(config: TrainConfig) -> Processes:
    """Joins the other processes and takes this one's device. Raises DcfmError."""
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DcfmError(
            "device is 'cuda', but PyTorch sees no GPU; set device=cpu or install PyTorch with CUDA"
        )
    if config.batch % count:
        raise DcfmError(
            f"a batch of {config.batch} cannot be split evenly over {count} processes; change batch="
        )
    cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if count > 1:
        # The others wait while the first one measures.
        dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(hours=2))
    return Processes(rank, count, device)
