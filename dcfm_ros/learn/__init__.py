"""Learning: datasets, losses, training, metrics and evaluation."""
