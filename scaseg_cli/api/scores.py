"""The score of predictions in files, for Python programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.api.images import AnyPath


@dataclass(frozen=True)
class GroupScore:
    """The means over a group of classes, as fractions; NaN where no class of the group has a value.

    Attributes:
        pq: panoptic quality.
        sq: segmentation quality.
        rq: recognition quality.
    """

    pq: float
    sq: float
    rq: float


@dataclass(frozen=True)
class ClassScore:
    """What was measured of one class.

    Attributes:
        name: its name in the annotations.
        seen: whether it is not among the unseen classes.
        isthing: whether it is a thing.
        pq: panoptic quality, a fraction; NaN where neither labels nor predictions contain the class.
        sq: segmentation quality, a fraction.
        rq: recognition quality, a fraction.
        tp: matched segments.
        fp: predicted segments that match none.
        fn: labelled segments that none matches.
    """

    name: str
    seen: bool
    isthing: bool
    pq: float
    sq: float
    rq: float
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class Score:
    """The score of predictions: means over groups of classes, and the values of each class.

    Attributes:
        seen: over the seen classes; over all where no unseen classes were named.
        unseen: over the unseen classes.
        harmonic: the harmonic mean of `seen` and `unseen`.
        all: over all classes.
        things: over the things.
        stuff: over the stuff.
        classes: of each class, seen ones first.
        notes: how many images were scored, and what is unusual in the files.
    """

    seen: GroupScore
    unseen: GroupScore
    harmonic: GroupScore
    all: GroupScore
    things: GroupScore
    stuff: GroupScore
    classes: tuple[ClassScore, ...]
    notes: tuple[str, ...]


def score(
    predictions: AnyPath,
    annotations: AnyPath,
    labels: AnyPath | None = None,
    unseen: str | Sequence[str] | None = None,
) -> Score:
    """Score predictions in COCO's panoptic format, as `scaseg evaluate --predictions` does; writes nothing.

    Args:
        predictions: the folder of the predictions' PNGs. Their JSON is beside it under the folder's name, or the only
            JSON file in it.
        annotations: COCO's panoptic JSON of the labels.
        labels: the folder of the labels' PNGs; None: the annotation file's name without ``.json``.
        unseen: the unseen classes: a known split such as ``coco-zps``, a file of names, or names; None: all classes
            count as seen.

    Raises:
        ScasegError: the annotations or the unseen names are wrong, or the predictions are, with every image named.
    """
    from scaseg_cli.external.evaluate_predictions import score_predictions

    folder = Path(labels) if labels is not None else None
    with silent():
        found = score_predictions(Path(predictions), Path(annotations), folder, unseen)
    if found.json_file is None:
        raise ScasegError(
            f"{predictions} has label maps, which have no panoptic quality", "Score them with `scaseg evaluate`."
        )
    groups = {name: GroupScore(**values) for name, values in found.summary.groups.items()}
    rows = found.summary.rows(found.classes.names)
    classes = tuple(ClassScore(row.pop("class"), **row) for row in rows)
    return Score(**groups, classes=classes, notes=found.notes)
