"""What an evaluation compares: the methods, the schedules of their key frames, and where these may begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dcfm_ros.errors import DcfmError
from dcfm_ros.learn.evaluation.triggers import parse_trigger

CAUSAL, BIDIRECTIONAL, COPIED, WARPED = "dcfm", "dcfm_bidirectional", "copied_mask", "warped_mask"
METHODS = (CAUSAL, BIDIRECTIONAL, COPIED, WARPED)


@dataclass(frozen=True)
class MethodSpec:
    """A row of the table: a method, and its key frames (every `key_interval` frames, or by `trigger`)."""

    method: str
    key_interval: int = 0
    trigger: str = ""

    @property
    def stream_fields(self) -> dict[str, Any]:
        """The fields of StreamConfig that make this schedule."""
        return parse_trigger(self.trigger or f"interval:{self.key_interval}")


@dataclass(frozen=True)
class EvaluationConfig:
    """What is compared.

    key_intervals  K: a key frame every K frames; 1 is per-frame segmentation and always among them
    triggers       other schedules, as `motion:0.1` or `motion:0.1+max_age:1000`
    bidirectional  also the published way, which looks ahead to the next key frame
    baselines      also the last key frame's mask, copied and moved along the optical flow
    offsets        how many of the K places key frames can fall on to average over, evenly spread; 0: all
    input_size     (width, height) of the network's input; (0, 0): the model card's
    speed_frames   how many frames to time
    """

    key_intervals: tuple[int, ...] = (1, 2, 5, 10, 15)
    triggers: tuple[str, ...] = ()
    bidirectional: bool = True
    baselines: bool = True
    offsets: int = 0
    input_size: tuple[int, int] = (0, 0)
    speed_frames: int = 60

    def __post_init__(self) -> None:
        if not self.key_intervals or min(self.key_intervals) < 1:
            raise DcfmError(
                f"key intervals are whole numbers of frames, 1 or more, not {list(self.key_intervals)}"
            )
        if self.offsets < 0:
            raise DcfmError(f"offsets is how many to average over, 0 for all of them, not {self.offsets}")
        if self.speed_frames < 1:
            raise DcfmError(f"speed needs 1 frame or more to be measured on, not {self.speed_frames}")
        for trigger in self.triggers:
            parse_trigger(trigger)
        object.__setattr__(self, "key_intervals", tuple(sorted({1, *self.key_intervals})))

    @property
    def reach(self) -> int:
        """How many frames back and ahead of a frame its key frames can lie."""
        return max(self.key_intervals) - 1

    def for_stills(self) -> EvaluationConfig:
        """What of it makes sense for frames without a video: K = 1."""
        return replace(self, key_intervals=(1,), triggers=(), bidirectional=False, baselines=False)

    def specs(self) -> list[MethodSpec]:
        """The rows of the table, in order."""
        reuse = [interval for interval in self.key_intervals if interval > 1]
        specs = [MethodSpec(CAUSAL, interval) for interval in self.key_intervals]
        specs += [MethodSpec(CAUSAL, trigger=trigger) for trigger in self.triggers]
        methods = [BIDIRECTIONAL] * self.bidirectional + [COPIED, WARPED] * self.baselines
        return specs + [MethodSpec(method, interval) for method in methods for interval in reuse]

    def offsets_of(self, spec: MethodSpec) -> list[int]:
        """Where a schedule's key frames begin; a trigger finds its own."""
        if spec.trigger:
            return [0]
        count = min(self.offsets or spec.key_interval, spec.key_interval)
        return [i * spec.key_interval // count for i in range(count)]
