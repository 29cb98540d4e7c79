"""Reads and scores predictions of other methods from files."""
