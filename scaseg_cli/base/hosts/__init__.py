"""The host networks of the segmentor: MMDetection's Mask2Former for panoptic labels, MMSegmentation's for semantic."""
