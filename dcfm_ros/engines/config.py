"""What can be chosen about an engine."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from dcfm_ros.config import check, setting
from dcfm_ros.engines.base import Engine
from dcfm_ros.errors import DcfmError

ENGINES = ("auto", "torch", "openvino", "onnxruntime", "tensorrt")
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class EngineConfig:
    """How a model is run. `create_engine` states what `auto` means. Raises DcfmError for a value that makes no sense."""

    engine: str = setting("auto", "what runs the model", choices=ENGINES)
    precision: str = setting("auto", "number format", choices=PRECISIONS)
    device: str = setting("auto", "auto, cpu, cuda, cuda:N, or gpu (an Intel GPU, with openvino)")
    threads: int = setting(0, "compute threads of the process on the CPU; 0: the library's choice", 0, 256)
    compile: bool = setting(
        False,
        "engine torch: compile the network with torch.compile, which takes up to minutes at the start and needs a C++ "
        "compiler (on a GPU Triton)",
    )

    classes_file: str = setting(
        "", "YAML file of class groups to use instead of the model's classes; empty: none"
    )

    def __post_init__(self) -> None:
        check(self)


def faster(engine: Engine) -> str:
    """What would make this engine faster; "" where there is nothing to advise."""
    slow = engine.name == "torch" and engine.device == "cpu" and not installed("openvino")
    return "on a CPU `pip install openvino` makes it faster" if slow else ""


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def checked_threads(threads: int) -> int:
    """The compute threads of a background engine. Raises DcfmError where they are less than one."""
    if threads < 1:
        raise DcfmError(f"threads is {threads}; a background engine needs one or more")
    return threads
