"""What can be chosen about a stream. The only place where its defaults are written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dcfm_ros.errors import DcfmError

MODES = ("inline", "background")
BACKGROUNDS = ("auto", "thread", "slices")
MASK_SIZES = ("input", "network")
Size = tuple[int, int]


@dataclass(frozen=True)
class StreamConfig:
    """How one camera's stream is segmented. A trigger whose number is 0 is off; those that are on combine.

    Each field's metadata has "help" and, where it is a number, its smallest and largest value.
    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    mode: str = field(
        default="background",
        metadata={
            "help": "where key frames are computed: 'background', frames never wait for them (but the first), or "
            "'inline', deterministic",
            "choices": MODES,
        },
    )
    background: str = field(
        default="auto",
        metadata={
            "help": "what computes key frames in background mode: 'thread' (at idle priority), 'slices' (a piece after "
            "each frame), or 'auto', what suits this device",
            "choices": BACKGROUNDS,
        },
    )
    background_threads: int = field(
        default=0,
        metadata={
            "help": "CPU threads that compute key frames in background mode; 0: half of the cores",
            "min": 0,
            "max": 256,
        },
    )
    slices: int = field(
        default=0,
        metadata={
            "help": "into how many pieces 'slices' cuts a key frame; 0: as few as fit between two frames",
            "min": 0,
            "max": 1000,
        },
    )
    input_size: Size = field(
        default=(0, 0),
        metadata={
            "help": "width and height the network sees; 0, 0: the model card's",
            "min": 0,
            "max": 16384,
        },
    )
    mask_size: str | Size = field(
        default="input",
        metadata={"help": "size of the mask: 'input' (the image's), 'network' (input_size), or WIDTHxHEIGHT"},
    )
    key_interval: int = field(
        default=0, metadata={"help": "refresh after this many frames; 0: off", "min": 0, "max": 1_000_000}
    )
    key_period_ms: float = field(
        default=1000.0,
        metadata={"help": "refresh after this much message time, ms; 0: off", "min": 0.0, "max": 1e9},
    )
    motion_threshold: float = field(
        default=0.4,
        metadata={
            "help": "refresh when the image has changed this much since the key frame, 0 (not at all) to 1 "
            "(nothing in common); 0: off",
            "min": 0.0,
            "max": 1.0,
        },
    )
    odometry_distance_m: float = field(
        default=0.0,
        metadata={"help": "refresh when the camera has moved this far, m; 0: off", "min": 0.0, "max": 1e6},
    )
    odometry_angle_deg: float = field(
        default=0.0,
        metadata={
            "help": "refresh when the camera has turned this much, degrees; 0: off",
            "min": 0.0,
            "max": 180.0,
        },
    )
    disagreement: float = field(
        default=0.0,
        metadata={
            "help": "refresh so often that a refresh changes about this share of the pixels, 0-1; 0: off",
            "min": 0.0,
            "max": 1.0,
        },
    )
    max_age_ms: float = field(
        default=3000.0,
        metadata={
            "help": "always refresh after this much message time, ms; masks from an older common feature are marked "
            "stale",
            "min": 1.0,
            "max": 1e12,
        },
    )
    agreement: bool = field(
        default=True,
        metadata={
            "help": "measure at each refresh the share of pixels that the old common feature would have labelled alike"
        },
    )
    phase: float = field(
        default=0.0,
        metadata={
            "help": "how much sooner the first periodic refresh comes, as a share of its period: gives each of several "
            "cameras its own turn",
            "min": 0.0,
            "max": 1.0,
        },
    )

    def __post_init__(self) -> None:
        if self.background == "process":  # an option of earlier versions
            raise DcfmError("background 'process' was removed; use 'slices' or 'thread'")
        for name, known in (("mode", MODES), ("background", BACKGROUNDS)):
            if getattr(self, name) not in known:
                raise DcfmError(f"unknown {name} '{getattr(self, name)}'; known: {', '.join(known)}")
        object.__setattr__(self, "input_size", parse_size(self.input_size, "input_size"))
        if (self.input_size[0] == 0) != (self.input_size[1] == 0):
            raise DcfmError(
                f"input_size is {self.input_size}; give width and height, or 0, 0 for the model card's"
            )
        if self.mask_size not in MASK_SIZES:
            hint = f"; expected {' or '.join(MASK_SIZES)}, or WIDTHxHEIGHT"
            size = parse_size(self.mask_size, "mask_size", hint)
            if not all(size):
                raise DcfmError(f"mask_size is {self.mask_size!r}{hint}")
            object.__setattr__(self, "mask_size", size)
        for item in fields(self):
            if item.name not in ("mode", "background", "input_size", "mask_size"):
                object.__setattr__(self, item.name, _checked(item.name, getattr(self, item.name), item))

    def network_size(self, card_size: Size) -> Size:
        """(width, height) that the network sees. card_size: what its card says."""
        return self.input_size if all(self.input_size) else card_size

    def size_of_mask(self, frame_size: Size, network_size: Size) -> Size:
        """(width, height) of the mask of a frame."""
        if isinstance(self.mask_size, tuple):
            return self.mask_size
        return frame_size if self.mask_size == "input" else network_size

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> StreamConfig:
        """Raises DcfmError for a key that is not a field, naming it and the known ones."""
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                raise DcfmError(f"unknown stream setting '{key}'; known: {', '.join(known)}")
        return cls(**values)


def parse_size(value: str | Sequence[int], name: str, hint: str = "; expected width and height") -> Size:
    """(width, height), a list of the two, or "WIDTHxHEIGHT" as (width, height) of 0-16384 each.

    Raises DcfmError naming `name` for anything else.
    """
    match = re.fullmatch(r"\s*(\d+)\s*[x×,]\s*(\d+)\s*", value) if isinstance(value, str) else None
    numbers = match.groups() if match else value
    try:
        width, height = (int(number) for number in numbers)
        if (isinstance(value, str) and not match) or [width, height] != [float(number) for number in numbers]:
            raise ValueError
    except (TypeError, ValueError):
        raise DcfmError(f"{name} is {value!r}{hint}") from None
    if not (0 <= width <= 16384 and 0 <= height <= 16384):
        raise DcfmError(f"{name} is {value!r}; width and height must be from 0 to 16384")
    return width, height


def _checked(name: str, value: Any, item: Any) -> Any:
    """The value in its field's type. Raises DcfmError."""
    kind = type(item.default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind is bool:
        if not isinstance(value, bool):
            raise DcfmError(f"{name} is {value!r}; expected true or false")
        return value
    low, high = item.metadata["min"], item.metadata["max"]
    if not number or not low <= value <= high or kind(value) != value:
        noun = "a whole number" if kind is int else "a number"
        raise DcfmError(f"{name} is {value!r}; expected {noun} from {low:g} to {high:g}")
    return kind(value)
