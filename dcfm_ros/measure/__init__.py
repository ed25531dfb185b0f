"""Metrics, optical flow, timing in rounds, and facts of the machine; imports nothing of the package but errors."""
