"""scaseg: Semantic-Centric Alignment for zero-shot panoptic and semantic segmentation."""

__version__ = "0.1.0"
