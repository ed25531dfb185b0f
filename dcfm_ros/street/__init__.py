"""A synthetic street drive: endless labelled video, rendered from a seed, with CamVid's 11 classes."""

from __future__ import annotations

from dcfm_ros.street.camera import Pose
from dcfm_ros.street.drive import DriveFrame, SyntheticDrive
from dcfm_ros.street.style import Style, draw_style

__all__ = ["DriveFrame", "Pose", "Style", "SyntheticDrive", "draw_style"]
