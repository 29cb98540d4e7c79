"""Scores predictions in files against labels: panoptic ones in COCO's format, or semantic ones as label maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.data.annotations import read_panoptic_files
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.notes import panoptic_notes
from scaseg_cli.external.predicted_set import PredictedSet, read_predictions
from scaseg_cli.external.prediction_score import PredictionScore
from scaseg_cli.external.score_files import score_files
from scaseg_cli.external.score_options import ScoreOptions
from scaseg_cli.measures.panoptic import PanopticMeasure
from scaseg_cli.split.classes import class_list
from scaseg_cli.split.unseen import find_unseen, unseen_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.external.labelled_maps import MapLabels
    from scaseg_cli.split.classes import ClassList


def score_predictions(
    folder: Path,
    annotations: Path,
    labels: Path | None = None,
    unseen: str | Sequence[str] | None = None,
    options: ScoreOptions | None = None,
) -> PredictionScore:
    """Score predictions against panoptic labels; writes no file.

    Args:
        folder: the folder of the predicted PNGs; see `read_predictions` for their JSON. Label maps without a JSON are
            scored as semantic predictions.
        annotations: COCO's panoptic JSON of the labels.
        labels: the folder of the label PNGs; None: the annotation file's name without ``.json``, as in COCO.
        unseen: the unseen classes: a known split, a file of names, or names; None: all classes count as seen.
        options: the JSON, the images and the means; None: the defaults.

    Raises:
        ScasegError: annotations, unseen names or predictions are wrong; lists all wrong predictions by image.
    """
    if not annotations.is_file():
        raise ScasegError(f"the annotation file {annotations} does not exist", "Check --annotations.")
    labels_dir = labels if labels is not None else annotations.with_suffix("")
    labelled = read_panoptic_files(annotations, annotations.parent, labels_dir)
    return score_set(folder, labelled, _classes(labelled, unseen), unseen is not None, options or ScoreOptions())


def score_maps_of(
    folder: Path,
    labels: MapLabels,
    unseen: str | Sequence[str] | None = None,
    options: ScoreOptions | None = None,
) -> PredictionScore:
    """Score semantic predictions against label maps; writes no file.

    Args:
        folder: the folder of the predictions: one label map per image with category ids, or Detectron2's JSON.
        labels: the label maps and their classes.
        unseen: the unseen classes: a known split, a file of names, or names; None: all classes count as seen.
        options: the JSON, the images and the means; None: the defaults.

    Raises:
        ScasegError: labels, classes, unseen names or predictions are wrong; lists all wrong predictions by image.
    """
    from scaseg_cli.external.labelled_maps import labelled_maps

    labelled = labelled_maps(labels)
    return score_set(folder, labelled, _classes(labelled, unseen), unseen is not None, options or ScoreOptions())


def _classes(labelled: LabelledSet, unseen: str | Sequence[str] | None) -> ClassList:
    hidden = find_unseen(unseen, unseen_names(unseen), labelled.categories) if unseen is not None else ()
    return class_list(labelled.categories, hidden)


def score_set(
    folder: Path, labelled: LabelledSet, classes: ClassList, is_split: bool, options: ScoreOptions
) -> PredictionScore:
    """Score predictions of the images of ``labelled``: panoptic ones, or label maps where there is no JSON.

    Raises:
        ScasegError: labels or predictions are wrong; lists all by image.
    """
    if labelled.map_values is not None or _are_label_maps(folder, options):
        from scaseg_cli.external.evaluate_maps import score_label_maps

        return score_label_maps(folder, labelled, classes, is_split, options)
    predicted = read_predictions(folder, labelled, options.json_file)
    num_images = len(labelled.images)
    if options.only_predicted:
        labelled = only_predicted(labelled, predicted)
    scored = score_files(labelled, predicted, classes.class_ids, len(classes))
    measure = PanopticMeasure(np.arange(len(classes)) < classes.num_seen, classes.isthing, options.means == "all")
    summary = measure.summarise(scored.quality)
    notes = tuple(panoptic_notes(labelled, num_images, predicted, scored, options))
    return PredictionScore(folder, predicted.json_file, measure, summary, classes, is_split, notes)


def _are_label_maps(folder: Path, options: ScoreOptions) -> bool:
    """Whether the folder has grey or palette PNGs, or Detectron2's codes, and no panoptic JSON."""
    from scaseg_cli.data.segment_png import check_chunks, read_content
    from scaseg_cli.external.predicted_maps import CODES_FILE

    if (folder / CODES_FILE).is_file():
        return True
    beside = folder.resolve().with_name(f"{folder.resolve().name}.json")
    if options.json_file is not None or not folder.is_dir() or beside.is_file() or any(folder.glob("*.json")):
        return False
    first = next(iter(sorted(folder.glob("*.png"))), None)
    return first is not None and check_chunks(first, read_content(first), None).colour in (0, 3)


def only_predicted(labelled: LabelledSet, predicted: PredictedSet) -> LabelledSet:
    """The labelled images that have a prediction."""
    kept = [record.image_id for record in labelled.images if record.image_id in predicted.images]
    predicted.mistakes = {image_id: predicted.mistakes[image_id] for image_id in kept if image_id in predicted.mistakes}
    return labelled.only(kept)
