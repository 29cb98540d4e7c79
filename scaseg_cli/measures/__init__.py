"""Panoptic quality, mean IoU and their means over seen and unseen classes; NumPy alone, no network, no files."""
