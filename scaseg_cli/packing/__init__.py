"""Finished runs in a form that can be given away: one file, and checkpoints and graphs of other libraries."""
