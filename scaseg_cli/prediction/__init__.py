"""Predictions on any images with any class names: sources > vocabulary > model > results."""
