"""Seen and unseen classes, and the images that each stage may use."""

from scaseg_cli.split.classes import ClassList, SegmentArrays, SplitClass, read_classes
from scaseg_cli.split.lists import open_set, read_image_ids
from scaseg_cli.split.split import split_dataset

__all__ = ["ClassList", "SegmentArrays", "SplitClass", "open_set", "read_classes", "read_image_ids", "split_dataset"]
