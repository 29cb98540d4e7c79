"""Grids of validation images: each beside its label, a baseline's prediction and ours. No stage needs them."""
