"""Reads and checks labelled images: COCO panoptic annotations and label maps."""
