"""What FrameTiming says of a frame."""

from __future__ import annotations

from typing import Any

from dcfm_ros.msg import FrameTiming
from dcfm_ros.node.health import Counts
from dcfm_ros.stream.segmentation import Segmentation


def frame_timing(header: Any, result: Segmentation, counts: Counts) -> FrameTiming:
    """The FrameTiming of a frame, but for what is measured around the stream: convert, publish, total and latency."""
    timing = FrameTiming(header=header, key_frame=result.key_frame, trigger=result.trigger)
    timing.key_stamp.sec, timing.key_stamp.nanosec = divmod(result.key_stamp_ns, 1_000_000_000)
    timing.age_ms, timing.age_frames = float(result.age_ms), int(result.age_frames)
    timing.stale = bool(result.stale)
    timing.motion, timing.agreement = float(result.motion), float(result.agreement)
    spent = result.timing
    timing.preprocess_ms, timing.independent_ms = float(spent.preprocess), float(spent.independent)
    timing.fuse_ms, timing.label_map_ms = float(spent.fuse), float(spent.label_map)
    timing.common_ms = float(spent.common)
    timing.received, timing.processed = counts.received, counts.processed
    timing.dropped, timing.failed, timing.lost = counts.dropped, counts.failed, counts.lost
    return timing
