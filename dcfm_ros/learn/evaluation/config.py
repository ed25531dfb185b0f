"""What an evaluation compares: the methods, the schedules of their key frames, and where these may begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dcfm_ros.config import Size, check, setting
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.config import ModelCard
from dcfm_ros.stream.config import ALIGNS, StreamConfig
from dcfm_ros.stream.trigger_grammar import parse_triggers

CAUSAL, PUBLISHED, BIDIRECTIONAL = "dcfm", "dcfm_published", "dcfm_bidirectional"
COPIED, WARPED, WARPED_CHEAPLY = "copied_mask", "warped_mask", "warped_mask_cheaply"
METHODS = {
    CAUSAL: "DCFM",
    PUBLISHED: "DCFM as published",
    BIDIRECTIONAL: "DCFM, looking ahead",
    COPIED: "mask copied",
    WARPED: "mask moved by optical flow",
    WARPED_CHEAPLY: "mask moved by cheap flow",
}
"""What is compared, in order, and what tables and plots call it."""


@dataclass(frozen=True)
class MethodSpec:
    """A row of the table: a method, and its key frames (every `key_interval` frames, or by `trigger`).

    align: of its stream, flow or none.
    """

    method: str
    key_interval: int = 0
    trigger: str = ""
    align: str = "none"

    @property
    def stream_fields(self) -> dict[str, Any]:
        """The fields of StreamConfig that make this schedule."""
        return parse_triggers(self.trigger or f"interval:{self.key_interval}")


@dataclass(frozen=True)
class EvaluationConfig:
    """What is compared.

    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    key_intervals: tuple[int, ...] = setting(
        (1, 2, 5, 10, 15), "a key frame every K frames; 1 is per-frame segmentation and always among them", 1
    )
    triggers: tuple[str, ...] = setting((), "other schedules, as motion:0.1 or motion:0.1+max_age:1000")
    align: str = setting(
        "auto",
        "how DCFM's common features follow the picture: 'flow' (beside it stands the published method, which is 'none'), "
        "'none', or 'auto', what suits the model",
        choices=ALIGNS,
    )
    bidirectional: bool = setting(
        True, "also the published evaluation, which looks ahead to the next key frame"
    )
    baselines: bool = setting(
        True, "also the last key frame's mask, both copied and moved along the optical flow"
    )
    offsets: int = setting(
        0, "how many of the K places key frames can fall on to average over, evenly spread; 0: all", 0
    )
    input_size: Size = setting((0, 0), "width and height of the network's input; 0, 0: the model card's")
    speed_frames: int = setting(60, "frames to time", 1)

    def __post_init__(self) -> None:
        check(self)
        if not self.key_intervals:
            raise DcfmError("key_intervals is empty; expected at least one whole number of frames")
        for trigger in self.triggers:
            parse_triggers(trigger)
        object.__setattr__(self, "key_intervals", tuple(sorted({1, *self.key_intervals})))

    @property
    def reach(self) -> int:
        """How many frames back and ahead of a frame its key frames can lie."""
        return max(self.key_intervals) - 1

    def for_model(self, card: ModelCard) -> EvaluationConfig:
        """With `align`, flow or none, and `input_size` as they are for this model."""
        stream = StreamConfig(align=self.align, input_size=self.input_size)
        return replace(self, align=stream.alignment(card), input_size=stream.network_size(card.input_size))

    def for_stills(self) -> EvaluationConfig:
        """What of it makes sense for frames without a video: K = 1."""
        return replace(self, key_intervals=(1,), triggers=(), bidirectional=False, baselines=False)

    def specs(self) -> list[MethodSpec]:
        """The rows of the table, in order; of a config that was made `for_model`.

        The first is per-frame segmentation, which has no use for flow.
        """
        assert self.align != "auto"
        reuse = [interval for interval in self.key_intervals if interval > 1]
        specs = [MethodSpec(CAUSAL, 1)]
        specs += [MethodSpec(CAUSAL, interval, align=self.align) for interval in reuse]
        specs += [MethodSpec(CAUSAL, trigger=trigger, align=self.align) for trigger in self.triggers]
        methods = [PUBLISHED] * (self.align == "flow") + [BIDIRECTIONAL] * self.bidirectional
        methods += [COPIED, WARPED, WARPED_CHEAPLY] * self.baselines
        return specs + [MethodSpec(method, interval) for method in methods for interval in reuse]

    def offsets_of(self, spec: MethodSpec) -> list[int]:
        """Where a schedule's key frames begin; a trigger finds its own."""
        if spec.trigger:
            return [0]
        count = min(self.offsets or spec.key_interval, spec.key_interval)
        return [i * spec.key_interval // count for i in range(count)]
