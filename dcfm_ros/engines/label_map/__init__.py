"""Logits to labels, at the size asked for, exactly."""
