"""Converts labels of other formats to those that the split reads."""
