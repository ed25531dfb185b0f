"""One replay as a value: what goes in, how, and what comes out. Sweeps and folders of bags are many of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.errors import DcfmError
from dcfm_ros.replay.spans import DEFAULT_SPAN_S
from dcfm_ros.stream.config import StreamConfig

CLOCKS = ("fast", "robot")


@dataclass(frozen=True)
class Job:
    """Everything a replay needs, in a form that can be sent to other processes and machines.

    input: bag, video or folder of images. folder: where the report goes. topic, labels: as for `open_source` and
    `open_labels`. frames: stop after so many. rate: of a folder of images, Hz. clock: "fast" or "robot". bag, video:
    whether to write them. storage: of the bag. merge: the input's messages go into the bag, too. confidence: whether
    it is computed; None: only where it does not disturb the measurement. budget_ms: a longer mean frame time is a warning.
    span_s: length of the time spans with numbers of their own. force: replace an earlier run.

    Raises:
        DcfmError: a mode whose outcome the clock cannot know.
    """

    input: Path
    folder: Path
    stream: StreamConfig
    engine: EngineConfig = field(default_factory=EngineConfig)
    weights: Path | None = None
    topic: str | None = None
    labels: str | None = None
    frames: int | None = None
    rate: float | None = None
    clock: str = "fast"
    bag: bool = True
    video: bool = True
    storage: str = "mcap"
    merge: bool = False
    confidence: bool | None = None
    budget_ms: float = 200.0
    span_s: float = DEFAULT_SPAN_S
    force: bool = False

    def __post_init__(self) -> None:
        if self.clock == "fast" and self.stream.mode != "inline":
            raise DcfmError(
                f"mode {self.stream.mode} needs --clock robot: as fast as possible, masks would depend on how fast this "
                f"machine is."
            )

    @property
    def with_confidence(self) -> bool:
        return self.clock == "fast" if self.confidence is None else self.confidence
