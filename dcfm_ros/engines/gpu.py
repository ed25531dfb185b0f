"""What GPUs are here, and whether torch can use one."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import logging

import torch

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
DRIVER = "libcuda.so.1"
TENSORRT = ("libnvinfer.so.11", "libnvinfer.so.10", "libnvinfer.so.8")
"""Newest first: ONNX Runtime is built for one of them, and robots have one."""
TENSORRT_PACKAGES = ("tensorrt", "tensorrt_cu13", "tensorrt_cu12")


def first_gpu() -> torch.device | None:
    """The first CUDA GPU, if this torch has code for it; a warning says so if it has not."""
    if not torch.cuda.is_available():
        return None
    device = torch.device("cuda")
    try:
        (torch.zeros(1, device=device) + 1).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        logger.warning("torch %s cannot use the GPU; the CPU is used instead: %s", torch.__version__, reason)
        return None
    return device


def compute_whole_fp32() -> None:
    """Has torch multiply float32 numbers as they are on a GPU: TensorFloat-32 keeps ten bits of their 23."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def gpu_name(index: int) -> str:
    """A CUDA GPU's name as its driver has it, whatever torch was built for; UNKNOWN where there is no such GPU."""
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    try:
        driver = ctypes.CDLL(DRIVER)
        if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), index):
            return UNKNOWN
        return UNKNOWN if driver.cuDeviceGetName(name, len(name), device) else name.value.decode()
    except (OSError, AttributeError):
        return UNKNOWN


def tensorrt_version() -> str:
    """The version of the TensorRT that is installed, as its library or else its package has it; UNKNOWN without either."""
    for name in TENSORRT:
        with contextlib.suppress(OSError, AttributeError):
            return str(ctypes.CDLL(name).getInferLibVersion())
    for name in TENSORRT_PACKAGES:  # their libraries lie where no loader looks
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return UNKNOWN
