"""Image messages to RGB pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from dcfm_ros.media.image_decode import BadImage, UnknownEncoding, decode_compressed, decode_image


def image_to_rgb(message: Any) -> np.ndarray:
    """The picture of a sensor_msgs/Image as uint8 H×W×3 RGB, without copying where the layout allows it.

    Raises:
        BadImage: nothing can be made of the message; tells why.
    """
    try:
        return decode_image(
            message.encoding,
            message.height,
            message.width,
            message.step,
            bool(message.is_bigendian),
            message.data,
        )
    except UnknownEncoding as error:
        return _through_cv_bridge(message, error)


def compressed_to_rgb(message: Any) -> np.ndarray:
    """The picture of a sensor_msgs/CompressedImage as uint8 H×W×3 RGB.

    Raises:
        BadImage: nothing can be made of the message; tells why.
    """
    return decode_compressed(message.format, message.data)


def _through_cv_bridge(message: Any, unknown: UnknownEncoding) -> np.ndarray:
    """Rare encodings are left to cv_bridge, where it is installed."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        raise BadImage(f"{unknown}; cv_bridge, which may know more, is not installed") from unknown
    try:
        rgb = CvBridge().imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # whatever cv_bridge stumbles over, the message is at fault
        raise BadImage(f"{unknown}; cv_bridge: {' '.join(str(error).split())}") from error
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise BadImage(f"{unknown}; cv_bridge made {rgb.dtype} {rgb.shape} of it, expected uint8 H×W×3")
    return np.ascontiguousarray(rgb)
