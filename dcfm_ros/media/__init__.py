"""Bags, videos, folders and cameras: reading and writing, labels, and messages without ROS."""

from dcfm_ros.media.open_source import open_source
from dcfm_ros.media.source import Frame, Source

__all__ = ["Frame", "Source", "open_source"]
