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
METHODS_OF_MASKS = (COPIED, WARPED, WARPED_CHEAPLY)
"""Baselines, which carry the masks of a network that sees key frames alone."""


@dataclass(frozen=True)
class MethodSpec:
    """A row of the table: a method, and its key frames (every `key_interval` frames, or by `trigger`).

    align, independent_interval: of its stream.
    """

    method: str
    key_interval: int = 0
    trigger: str = ""
    align: str = "none"
    independent_interval: int = 1

    @property
    def stream_fields(self) -> dict[str, Any]:
        """The fields of StreamConfig that make this schedule."""
        fields = parse_triggers(self.trigger or f"interval:{self.key_interval}")
        return {**fields, "independent_interval": self.independent_interval}

    @property
    def own_share(self) -> float:
        """Share of the frames other than key frames that have an independent feature, 0-1; with a trigger, roughly."""
        if self.key_interval < 2:
            return 1 / self.independent_interval
        return (-(-self.key_interval // self.independent_interval) - 1) / (self.key_interval - 1)


@dataclass(frozen=True)
class EvaluationConfig:
    """What is compared.

    Raises DcfmError, naming the field, for a value that makes no sense.
    """

    key_intervals: tuple[int, ...] = setting(
        (1, 2, 5, 10, 15), "a key frame every K frames; 1 is per-frame segmentation and always among them", 1
    )
    independent_intervals: tuple[int, ...] = setting(
        (1,),
        "also with the independent feature of every n-th frame only, the masks between moved along the flow",
        1,
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
    rates: tuple[float, ...] = setting(
        (),
        "also how good the mask is that is finished when a frame comes, for cameras of these rates, Hz",
        0.1,
        10_000.0,
    )
    speed_frames: int = setting(60, "frames to time", 1)

    def __post_init__(self) -> None:
        check(self)
        if not self.key_intervals:
            raise DcfmError("key_intervals is empty; expected at least one whole number of frames")
        for trigger in self.triggers:
            parse_triggers(trigger)
        for name in ("key_intervals", "independent_intervals"):
            object.__setattr__(self, name, tuple(sorted({1, *getattr(self, name)})))
        object.__setattr__(self, "rates", tuple(self.rates))

    @property
    def reach(self) -> int:
        """How many frames back and ahead of a frame its key frames can lie."""
        return max(self.key_intervals) - 1

    def for_model(self, card: ModelCard) -> EvaluationConfig:
        """With `align`, flow or none, and `input_size` as they are for this model."""
        stream = StreamConfig(align=self.align, input_size=self.input_size)
        # Raises for intervals that nothing can move masks over.
        align = replace(stream, independent_interval=max(self.independent_intervals)).alignment(card)
        return replace(self, align=align, input_size=stream.network_size(card.input_size))

    def for_stills(self) -> EvaluationConfig:
        """What of it makes sense for frames without a video: K = 1."""
        return replace(
            self,
            key_intervals=(1,),
            independent_intervals=(1,),
            rates=(),
            triggers=(),
            bidirectional=False,
            baselines=False,
        )

    def specs(self) -> list[MethodSpec]:
        """The rows of the table, in order; of a config that was made `for_model`.

        The first is per-frame segmentation, which has no use for flow.
        """
        assert self.align != "auto"
        reuse = [interval for interval in self.key_intervals if interval > 1]
        specs = [MethodSpec(CAUSAL, 1)]
        for every in self.independent_intervals:
            of_this = MethodSpec(CAUSAL, align=self.align, independent_interval=every)
            specs += [replace(of_this, key_interval=interval) for interval in reuse if interval > every]
            specs += [replace(of_this, trigger=trigger) for trigger in self.triggers]
        methods = [PUBLISHED] * (self.align == "flow") + [BIDIRECTIONAL] * self.bidirectional
        methods += list(METHODS_OF_MASKS) * self.baselines
        return specs + [MethodSpec(method, interval) for method in methods for interval in reuse]

    def offsets_of(self, spec: MethodSpec) -> list[int]:
        """Where a schedule's key frames begin; a trigger finds its own."""
        if spec.trigger:
            return [0]
        count = min(self.offsets or spec.key_interval, spec.key_interval)
        return [i * spec.key_interval // count for i in range(count)]
