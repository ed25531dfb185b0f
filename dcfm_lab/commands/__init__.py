"""The `dcfm` commands of the workshop, as those of `dcfm_ros/commands`."""
