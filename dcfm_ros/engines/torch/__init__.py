"""The model in torch itself, on a CPU or a GPU."""
