"""Replay: a bag, a video or a folder of images in; masks, numbers and a report out. No ROS needed."""

from dcfm_ros.replay.sources import Frame, Source, open_source

__all__ = ["Frame", "Source", "open_source"]
