"""The processes that train together, their devices, and how one of them is asked to stop."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dcfm_ros.errors import DcfmError, say
from dcfm_ros.learn.config import TrainConfig

UNSYNCHRONISED = (
    "PyTorch synchronises batch norms on GPUs only: here each process normalises by its own part of the batch, and what "
    "is trained differs from what one process would train; not so with freeze_norm=true"
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


class StopRequest:
    """As a context: turns the first Ctrl-C or SIGTERM into a wish; the second one works as usual, as they do after it.

    Not where there are several processes, which would end after different steps, and not outside the main thread, where
    Python has no signals.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
        if alone and threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._before = {number: signal.signal(number, self._wish) for number in numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _wish(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self.__exit__()
