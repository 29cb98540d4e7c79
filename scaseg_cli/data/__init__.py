"""Images with panoptic labels in COCO's format: reading them, with every check."""
