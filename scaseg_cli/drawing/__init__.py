"""Draws segments in class colours, with outlines and names, and arranges the pictures in a sheet."""
