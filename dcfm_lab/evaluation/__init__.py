"""Evaluation: accuracy, video consistency and cost of a model, beside the baselines reuse has to beat."""
