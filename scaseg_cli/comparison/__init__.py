"""Finished runs side by side, and the means of one recipe's seeds."""
