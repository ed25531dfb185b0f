"""What can be chosen about an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dcfm_ros.errors import DcfmError

ENGINES = ("auto", "torch", "openvino", "onnxruntime", "tensorrt")
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True)
class EngineConfig:
    """How a model is run. `create_engine` states what `auto` means."""

    engine: str = field(default="auto", metadata={"help": f"what runs the model: {', '.join(ENGINES)}"})
    precision: str = field(default="auto", metadata={"help": f"number format: {', '.join(PRECISIONS)}"})
    device: str = field(
        default="auto", metadata={"help": "auto, cpu, cuda, cuda:N, or gpu (an Intel GPU, with openvino)"}
    )
    threads: int = field(
        default=0,
        metadata={
            "help": "compute threads of the process on the CPU; 0 leaves the library's choice",
            "min": 0,
            "max": 256,
        },
    )

    compile: bool = field(
        default=False,
        metadata={
            "help": "engine torch: compile the network with torch.compile, which takes up to minutes at the start "
            "and wants a C++ compiler (on a GPU Triton)"
        },
    )

    def __post_init__(self) -> None:
        for name, known in (("engine", ENGINES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise DcfmError(f"unknown {name} '{getattr(self, name)}'; known: {', '.join(known)}")
        if (
            isinstance(self.threads, bool)
            or not isinstance(self.threads, int)
            or not 0 <= self.threads <= 256
        ):
            raise DcfmError(f"threads is {self.threads!r}; expected a whole number from 0 to 256")
        if not isinstance(self.compile, bool):
            raise DcfmError(f"compile is {self.compile!r}; expected true or false")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> EngineConfig:
        """Raises DcfmError for a key that is not a field."""
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                raise DcfmError(f"unknown engine setting '{key}'; known: {', '.join(known)}")
        return cls(**values)
