"""scaseg from Python: a finished run that segments images, and the score of predictions in files.

`scaseg_cli` exports all of this. The network's packages are imported by the first call that needs them.
"""

from scaseg_cli.api.scores import (
    ClassScore,
    GroupScore,
    Score,
    SemanticClassScore,
    SemanticGroupScore,
    SemanticScore,
    score,
    score_maps,
)
from scaseg_cli.api.segmentation import ClassInfo, Segment, Segmentation, SegmentationModel, load

__all__ = [
    "ClassInfo",
    "ClassScore",
    "GroupScore",
    "Score",
    "Segment",
    "Segmentation",
    "SegmentationModel",
    "SemanticClassScore",
    "SemanticGroupScore",
    "SemanticScore",
    "load",
    "score",
    "score_maps",
]
