"""A synthetic street drive: endless labelled video, rendered from a seed, with CamVid's 11 classes."""

from __future__ import annotations

from dcfm_ros.learn.datasets.drive.camera import Pose
from dcfm_ros.learn.datasets.drive.drive import DriveFrame, SyntheticDrive
from dcfm_ros.learn.datasets.drive.style import Style, draw_style

__all__ = ["DriveFrame", "Pose", "Style", "SyntheticDrive", "draw_style"]
