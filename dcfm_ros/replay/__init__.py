"""Replay: a recording in; masks, numbers and a report out. No ROS needed."""
