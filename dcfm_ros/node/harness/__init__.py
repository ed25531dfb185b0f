"""Player and recorder: what the demo and live replays need of ROS."""
