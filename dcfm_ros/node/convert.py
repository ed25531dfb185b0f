"""Image messages to RGB pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from dcfm_ros.media.image_decode import UnknownEncoding, to_rgb
from dcfm_ros.media.image_header import BadImage


def message_to_rgb(message: Any) -> np.ndarray:
    """The picture of an Image or CompressedImage as uint8 H×W×3 RGB, without copying where the layout allows it.

    Raises BadImage: the message holds no usable picture; says why.
    """
    try:
        return to_rgb(message)
    except UnknownEncoding as error:
        return _through_cv_bridge(message, error)


def _through_cv_bridge(message: Any, unknown: UnknownEncoding) -> np.ndarray:
    """Rare encodings are left to cv_bridge, where it is installed."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        raise BadImage(f"{unknown}; cv_bridge, which may know it, is not installed") from unknown
    except Exception as error:  # built for another NumPy or OpenCV: a failed frame, and not the node's fault
        raise BadImage(f"{unknown}; cv_bridge, which may know it, is broken: {error}") from error
    try:
        rgb = CvBridge().imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # whatever cv_bridge stumbles over, the message is at fault
        raise BadImage(f"{unknown}; cv_bridge: {error}") from error
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise BadImage(f"{unknown}; cv_bridge made {rgb.dtype} {rgb.shape} of it, expected uint8 H×W×3")
    return np.ascontiguousarray(rgb)
