"""Learning: samples, losses, training."""
