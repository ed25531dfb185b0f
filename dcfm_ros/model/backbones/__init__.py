"""Backbones, each cut into a shallow and a deep part: one file per family, and one line in `registry`."""
