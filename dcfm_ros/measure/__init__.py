"""Metrics, optical flow, timing in rounds, facts of the machine, and the one way to tables, plots and result files."""
