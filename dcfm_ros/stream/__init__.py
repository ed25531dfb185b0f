"""What happens to a frame: key-frame triggers, the common branch's worker, the segmenter."""
