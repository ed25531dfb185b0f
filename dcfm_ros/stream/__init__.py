"""What happens to a frame: key-frame triggers, the common branch's worker, the segmenter."""

from typing import TYPE_CHECKING, Any

from dcfm_ros.stream.config import StreamConfig
from dcfm_ros.stream.segmentation import Pose, Segmentation, Timing

if TYPE_CHECKING:
    from dcfm_ros.stream.segmenter import StreamSegmenter

__all__ = ["Pose", "Segmentation", "StreamConfig", "StreamSegmenter", "Timing"]


def __getattr__(name: str) -> Any:
    # Only the segmenter needs the network's library, which takes seconds to import: who decodes images does not wait.
    if name == "StreamSegmenter":
        from dcfm_ros.stream.segmenter import StreamSegmenter

        return StreamSegmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
