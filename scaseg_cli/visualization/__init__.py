"""Grids of validation images: each beside its label, a baseline's prediction and ours. Nothing needs them."""
