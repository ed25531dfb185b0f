"""The node's parameters: one for each field of the dataclasses that hold the defaults. Needs neither ROS nor torch.

A parameter's name, default, description and range are the field's own and its metadata's (see `dcfm_ros.config.setting`);
the node's own fields also say "when" they may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from functools import partial
from typing import Any

from dcfm_ros.config import allowed, check, from_mapping, setting
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.stream.config import StreamConfig

RELIABILITIES = ("best_effort", "reliable")
TRANSPORTS = ("raw", "compressed")

# When a parameter may change.
ANY_TIME = "at any time"
UNCONFIGURED = "while the node is unconfigured"
AT_START = "at the start only"

_at_any_time = partial(setting, when=ANY_TIME)


@dataclass(frozen=True)
class NodeConfig:
    """What only the node knows: where frames come from and what is told about them.

    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    weights: str = setting(
        "", "model by name (`dcfm models`), or weights file (.safetensors); empty: the first of these"
    )
    selection: str = setting(
        "",
        "classes (or groups of classes_file), separated by commas, that segmentation/selection shows as 255, all else as 0; "
        "empty: it is not published",
    )
    autostart: bool = setting(
        True, "configure and activate at the start; false: a lifecycle manager does that", when=AT_START
    )
    image_topics: tuple[str, ...] = setting(
        ("image",),
        "image topics, a camera each; with several, outputs are <camera namespace>/segmentation/...",
    )
    transport: str = setting(
        "raw",
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage from <topic>/compressed",
        choices=TRANSPORTS,
    )
    input_reliability: str = setting(
        "best_effort",
        "reliability of the image subscriptions; best_effort receives from every publisher",
        choices=RELIABILITIES,
    )
    input_depth: int = setting(
        1,
        "frames that may wait; 1: always the newest, for robots; more, with reliable: every frame, to record",
        1,
        1000,
    )
    overlay_alpha: float = _at_any_time(0.5, "opacity of the class colours in the overlay", 0.0, 1.0)
    overlay_legend: bool = _at_any_time(True, "name the classes in view in the overlay")
    diagnostics_period_s: float = setting(1.0, "seconds from one /diagnostics to the next", 0.1, 60.0)
    input_timeout_s: float = _at_any_time(
        2.0, "diagnostics: no image for this many seconds is an error", 0.1, 3600.0
    )
    budget_ms: float = _at_any_time(
        200.0, "diagnostics: a mean frame time above this many ms is a warning", 0.1, 60000.0
    )
    over_budget_s: float = _at_any_time(
        10.0, "diagnostics: over budget for this many seconds is an error", 0.0, 3600.0
    )

    @property
    def selected(self) -> tuple[str, ...]:
        """The names in `selection`."""
        return tuple(name.strip() for name in self.selection.split(",") if name.strip())

    def __post_init__(self) -> None:
        check(self)
        if not self.image_topics or not all(self.image_topics):
            raise DcfmError("image_topics must name at least one topic, and none may be empty")
        if len(set(self.image_topics)) != len(self.image_topics):
            raise DcfmError(f"image_topics names a topic twice: {', '.join(self.image_topics)}")


@dataclass(frozen=True)
class Configuration:
    """All parameters of the node, in the form that the rest of it uses."""

    node: NodeConfig
    stream: StreamConfig
    engine: EngineConfig

    @property
    def values(self) -> dict[str, Any]:
        """Every parameter's value by name, as the dataclasses have it."""
        return {
            parameter.name: getattr(getattr(self, name), parameter.name)
            for name in GROUPS
            for parameter in group(name)
        }


@dataclass(frozen=True)
class Parameter:
    """One ROS parameter: a dataclass's field, and when it may change."""

    config: type
    field: Field[Any]
    when: str

    @property
    def name(self) -> str:
        """The field's."""
        return self.field.name

    @property
    def ros_default(self) -> Any:
        """The default as ROS has it: tuples are lists."""
        default = self.field.default
        return list(default) if isinstance(default, tuple) else default

    @property
    def text(self) -> str:
        """What it is."""
        return str(self.field.metadata["help"])

    @property
    def allowed(self) -> str:
        """Its choices or its range, in words; "" where it has neither."""
        return allowed(self.field)

    @property
    def described(self) -> str:
        """What it is, and in brackets what it may be."""
        return f"{self.text} ({self.allowed})" if self.allowed else self.text


GROUPS: dict[str, tuple[type, str]] = {
    "node": (NodeConfig, UNCONFIGURED),
    "stream": (StreamConfig, ANY_TIME),
    "engine": (EngineConfig, UNCONFIGURED),
}
NOT_PARAMETERS = {"phase"}  # chosen by the node, a different one for each camera


def group(name: str) -> list[Parameter]:
    """The parameters of one of GROUPS, in the order of its dataclass."""
    config, when = GROUPS[name]
    return [
        Parameter(config, item, item.metadata.get("when", when))
        for item in fields(config)
        if item.name not in NOT_PARAMETERS
    ]


def table() -> list[Parameter]:
    """Every parameter of the node."""
    return [parameter for name in GROUPS for parameter in group(name)]


def configuration_of(values: Mapping[str, Any]) -> Configuration:
    """The configuration in which parameters have these values, the others their defaults.

    Raises DcfmError, naming the parameter, for one that does not exist and a value that makes no sense.
    """
    groups = {name: {parameter.name for parameter in group(name)} for name in GROUPS}
    known = set().union(*groups.values())
    if unknown := [name for name in values if name not in known]:
        raise DcfmError(
            f"unknown parameter {', '.join(map(repr, unknown))}; known: {', '.join(sorted(known))}"
        )
    return Configuration(
        **{
            name: from_mapping(GROUPS[name][0], {key: value for key, value in values.items() if key in names})
            for name, names in groups.items()
        }
    )
