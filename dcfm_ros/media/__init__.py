"""Bags, videos, folders and cameras: reading and writing, labels, and messages without ROS."""
