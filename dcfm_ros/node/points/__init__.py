"""`dcfm_points`: masks in space, as a node of its own beside the one that makes them."""
