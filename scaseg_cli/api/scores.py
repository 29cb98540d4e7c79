"""The score of predictions in files, for Python programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.api.images import AnyPath
    from scaseg_cli.external.score_options import ScoreOptions


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
class SemanticGroupScore:
    """The means over a group of classes, as fractions; NaN where no class of the group has a value.

    Attributes:
        iou: mean intersection over union.
        acc: mean accuracy of the classes.
        pixel_acc: accuracy over the labelled pixels of the group.
    """

    iou: float
    acc: float
    pixel_acc: float


@dataclass(frozen=True)
class SemanticClassScore:
    """What was measured of one class in semantic predictions. Pixels are those that have a label.

    Attributes:
        name: its name in the list of classes.
        seen: whether it is not among the unseen classes.
        iou: intersection over union, a fraction; NaN where neither labels nor predictions contain the class.
        acc: accuracy, a fraction; NaN where no label contains the class.
        right: pixels that both label and prediction assign to the class.
        labelled: pixels that the labels assign to it.
        predicted: pixels that the predictions assign to it.
    """

    name: str
    seen: bool
    iou: float
    acc: float
    right: int
    labelled: int
    predicted: int


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


@dataclass(frozen=True)
class SemanticScore:
    """The score of semantic predictions: means over groups of classes, and the values of each class.

    Attributes:
        seen: over the seen classes; over all where no unseen classes were named.
        unseen: over the unseen classes.
        harmonic: the harmonic mean of `seen` and `unseen`.
        all: over all classes.
        classes: of each class, seen ones first.
        notes: how many images were scored, and what is unusual in the files.
    """

    seen: SemanticGroupScore
    unseen: SemanticGroupScore
    harmonic: SemanticGroupScore
    all: SemanticGroupScore
    classes: tuple[SemanticClassScore, ...]
    notes: tuple[str, ...]


def score(
    predictions: AnyPath,
    annotations: AnyPath,
    labels: AnyPath | None = None,
    unseen: str | Sequence[str] | None = None,
    *,
    predictions_json: AnyPath | None = None,
    only_predicted: bool = False,
    means: Literal["present", "all"] = "present",
) -> Score:
    """Score predictions in COCO's panoptic format, as `scaseg evaluate --predictions` does; writes nothing.

    Args:
        predictions: the folder of the predictions' PNGs. Their JSON is beside it under the folder's name, or the only
            JSON file in it.
        annotations: COCO's panoptic JSON of the labels.
        labels: the folder of the labels' PNGs; None: the annotation file's name without ``.json``.
        unseen: the unseen classes: a known split such as ``coco-zps``, a file of names, or names; None: all classes
            count as seen.
        predictions_json: the JSON of the predictions, if it is elsewhere.
        only_predicted: score the images that have a prediction; otherwise all need one.
        means: "present" leaves classes in neither labels nor predictions out of the means; "all" counts them as 0.

    Raises:
        ScasegError: the annotations or the unseen names are wrong, or the predictions are, with every image named.
    """
    from scaseg_cli.external.evaluate_predictions import score_predictions

    options = _options(predictions_json, only_predicted, means)
    with silent():
        found = score_predictions(Path(predictions), Path(annotations), _path(labels), unseen, options)
    if found.json_file is None:
        raise ScasegError(
            f"{predictions} has label maps, which have no panoptic quality", "Score them with scaseg_cli.score_maps."
        )
    groups = {name: GroupScore(**values) for name, values in found.summary.groups.items()}
    rows = found.summary.rows(found.classes.names)
    classes = tuple(ClassScore(row.pop("class"), **row) for row in rows)
    return Score(**groups, classes=classes, notes=found.notes)


def score_maps(
    predictions: AnyPath,
    labels: AnyPath | None = None,
    categories: AnyPath | None = None,
    unseen: str | Sequence[str] | None = None,
    *,
    annotations: AnyPath | None = None,
    ignored: Sequence[int] = (),
    colours: AnyPath | None = None,
    label_suffix: str | None = None,
    image_list: AnyPath | None = None,
    predictions_json: AnyPath | None = None,
    only_predicted: bool = False,
    means: Literal["present", "all"] = "present",
) -> SemanticScore:
    """Score semantic predictions, as `scaseg evaluate --predictions` does; writes nothing.

    Args:
        predictions: the folder of label maps, one category id per pixel, or of Detectron2's JSON.
        labels: the folder of the labels: label maps, or with ``annotations`` panoptic PNGs.
        categories: the classes of label maps: a shipped list such as ``coco-stuff``, or a JSON file.
        unseen: the unseen classes: a known split such as ``coco-zss``, a file of names, or names; None: all classes
            count as seen.
        annotations: COCO's panoptic JSON of the labels, in place of ``categories``.
        ignored: label map values that are no class, besides 255.
        colours: a table of colours, for label maps painted in colours.
        label_suffix: the end of the label maps' names that the predictions lack, such as ``_gtFine_labelIds.png``.
        image_list: a file with one image name per line; other label maps are left out.
        predictions_json: Detectron2's JSON, if it is elsewhere.
        only_predicted: score the images that have a prediction; otherwise all need one.
        means: "present" leaves classes in neither labels nor predictions out of the means; "all" counts them as 0.

    Raises:
        ScasegError: labels, classes or unseen names are wrong, or the predictions are, with every image named.
        ValueError: there are neither labels with categories, nor annotations.
    """
    from scaseg_cli.external.evaluate_predictions import score_maps_of, score_predictions
    from scaseg_cli.external.labelled_maps import MapLabels

    options = _options(predictions_json, only_predicted, means)
    if annotations is not None:
        if categories is not None:
            raise ValueError("annotations have their categories: pass one of annotations and categories")
        with silent():
            found = score_predictions(Path(predictions), Path(annotations), _path(labels), unseen, options)
        if found.json_file is not None:
            raise ScasegError(f"{predictions} has panoptic predictions", "Score them with scaseg_cli.score.")
    elif labels is None or categories is None:
        raise ValueError("score_maps needs labels and categories, or annotations")
    else:
        of_labels = MapLabels(
            Path(labels), str(categories), tuple(ignored), _path(colours), label_suffix, _path(image_list)
        )
        with silent():
            found = score_maps_of(Path(predictions), of_labels, unseen, options)
    groups = {name: SemanticGroupScore(**values) for name, values in found.summary.groups.items()}
    rows = found.summary.rows(found.classes.names)
    classes = tuple(SemanticClassScore(row.pop("class"), **row) for row in rows)
    return SemanticScore(**groups, classes=classes, notes=found.notes)


def _options(json_file: AnyPath | None, only_predicted: bool, means: Literal["present", "all"]) -> ScoreOptions:
    from scaseg_cli.external.score_options import ScoreOptions

    if means not in ("present", "all"):
        raise ValueError(f"means is 'present' or 'all', not {means!r}")
    return ScoreOptions(_path(json_file), only_predicted, means)


def _path(path: AnyPath | None) -> Path | None:
    return Path(path) if path is not None else None
