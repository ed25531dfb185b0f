"""DCFM: video semantic segmentation with a common feature per key frame and an independent feature per frame."""

__version__ = "0.1.0"
