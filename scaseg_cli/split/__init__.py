"""Seen and unseen classes, and the images that each stage may use."""
