"""Ablations: tables of runs that differ in a few recipe keys; cells that share a stage run it once."""
