"""Ablations: tables of runs that differ in a few recipe keys, each stage run once for all cells that share it."""
