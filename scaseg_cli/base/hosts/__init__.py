"""The Mask2Formers that a segmentor is built on: MMDetection's for panoptic labels, MMSegmentation's for semantic."""
