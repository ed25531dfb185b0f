"""The machine and the software a measurement was made with."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from dcfm_ros import __version__


@dataclass(frozen=True)
class Machine:
    """processor and gpu by name ("" for no GPU), cores this process may use, operating system, versions."""

    processor: str
    cores: int
    gpu: str
    system: str
    dcfm_ros: str
    python: str
    torch: str
    numpy: str
    opencv: str


def this_machine() -> Machine:
    """What the current process runs on."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        system=f"{platform.system()} {platform.machine()}",
        dcfm_ros=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        opencv=cv2.__version__,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(named, platform.machine())
