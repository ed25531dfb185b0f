"""Masks in space: labelled points from depth, and free space on the ground plane. Needs no ROS."""
