"""scaseg: Semantic-Centric Alignment for zero-shot panoptic and semantic segmentation.

From Python, `load` opens a finished run, whose `SegmentationModel.segment` segments images, and `score` scores
predictions in files; docs/python.md shows both. Importing this package loads neither PyTorch nor NumPy; the first use
of a name from `scaseg_cli.api` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from scaseg_cli.api import (
        ClassInfo,
        ClassScore,
        GroupScore,
        Score,
        Segment,
        Segmentation,
        SegmentationModel,
        SemanticClassScore,
        SemanticGroupScore,
        SemanticScore,
        load,
        score,
        score_maps,
    )

__all__ = [
    "ClassInfo",
    "ClassScore",
    "GroupScore",
    "ScasegError",
    "Score",
    "Segment",
    "Segmentation",
    "SegmentationModel",
    "SemanticClassScore",
    "SemanticGroupScore",
    "SemanticScore",
    "__version__",
    "load",
    "score",
    "score_maps",
]


def __getattr__(name: str) -> Any:
    """A name from `scaseg_cli.api`, which is imported when the first one is used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module("scaseg_cli.api"), name)
    return value


def __dir__() -> list[str]:
    """The names of this module, those of `scaseg_cli.api` included."""
    return sorted({*globals(), *__all__})
