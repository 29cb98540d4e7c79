"""Chooses the pull, the noise, the unseen weight, a snapshot and increments on folds of the seen classes."""
