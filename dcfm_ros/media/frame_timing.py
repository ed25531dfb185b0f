"""What FrameTiming says of a frame, for a node's message and for a bag's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dcfm_ros.stream.segmentation import Segmentation


@dataclass(frozen=True)
class FrameCounts:
    """Frames so far."""

    received: int = 0
    processed: int = 0
    dropped: int = 0  # a newer frame came before its turn, or the same one came twice
    failed: int = 0
    lost: int = 0  # by the middleware, on the way here
    unwanted: int = 0  # came while nobody subscribed to any output

    def __sub__(self, before: FrameCounts) -> FrameCounts:
        """The frames since then."""
        return FrameCounts(**{name: number - getattr(before, name) for name, number in vars(self).items()})


def timing_fields(
    result: Segmentation,
    counts: FrameCounts,
    *,
    convert_ms: float,
    publish_ms: float,
    total_ms: float,
    latency_ms: float,
) -> dict[str, Any]:
    """The fields of a FrameTiming but its header and key stamp, as Python's own numbers."""
    spent = result.timing
    return {
        "key_frame": bool(result.key_frame),
        "trigger": result.trigger,
        "age_ms": float(result.age_ms),
        "age_frames": int(result.age_frames),
        "stale": bool(result.stale),
        "moved": bool(result.moved),
        "motion": float(result.motion),
        "agreement": float(result.agreement),
        "convert_ms": convert_ms,
        **{f"{step}_ms": float(getattr(spent, step)) for step in _STEPS},
        "publish_ms": publish_ms,
        "total_ms": total_ms,
        "latency_ms": latency_ms,
        **{name: getattr(counts, name) for name in _COUNTS},
    }


_STEPS = ("preprocess", "align", "independent", "fuse", "label_map", "common")
_COUNTS = ("received", "processed", "dropped", "failed", "lost")
