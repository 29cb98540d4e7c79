"""Scores semantic predictions in files: label maps, or Detectron2's run-length codes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.data.class_lists import coco_stuff, coco_stuff_raw_values
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.predicted_maps import open_maps
from scaseg_cli.external.prediction_score import PredictionScore
from scaseg_cli.external.score_maps import MapTask, score_maps
from scaseg_cli.measures.semantic import SemanticMeasure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.external.predicted_maps import PredictedMaps
    from scaseg_cli.external.score_options import ScoreOptions
    from scaseg_cli.measures.mean_iou import Confusion
    from scaseg_cli.measures.summary import Summary
    from scaseg_cli.split.classes import ClassList

_FEW = 0.05  # pixel accuracy below which something is probably wrong with the files


def score_label_maps(
    folder: Path, labelled: LabelledSet, classes: ClassList, is_split: bool, options: ScoreOptions
) -> PredictionScore:
    """Score semantic predictions; writes no file.

    Args:
        folder: the folder of the predictions, see `open_maps`.
        labelled: the labels: label maps, or panoptic PNGs, whose segments are then regions of their classes.
        classes: all classes, seen ones first.
        is_split: whether some are unseen.
        options: the JSON, the images and the means.

    Raises:
        ScasegError: labels or predictions are wrong; lists all by image.
    """
    predicted = replace(open_maps(folder, options.json_file), colours=labelled.colours)
    notes: list[str] = []
    if predicted.codes:
        predicted = _with_category_ids(predicted, labelled, notes)
    num_images = len(labelled.images)
    with_prediction = [record for record in labelled.images if predicted.find(record) is not None]
    if not with_prediction:
        theirs = next(iter(predicted.codes or predicted.files))
        raise ScasegError(
            f"no prediction in {predicted.json_file or folder} has the name of one of the {num_images} labels, such as "
            f"{labelled.images[0].label_name}",
            f"Write NAME.png for the image NAME.jpg. The predictions are named {theirs}, for example.",
        )
    if options.only_predicted:
        labelled = replace(labelled, images=tuple(with_prediction))
    confusion = score_maps(MapTask(labelled, predicted, classes.class_ids))
    measure = SemanticMeasure(np.arange(len(classes)) < classes.num_seen, options.means == "all")
    summary = measure.summarise(confusion)
    which = f"{len(labelled.images)} of {num_images}" if options.only_predicted else f"{num_images}"
    notes = [
        f"{which} images. Predictions: {predicted.json_file or folder}.",
        *notes,
        *_notes(confusion, summary, classes, options),
    ]
    return PredictionScore(folder, None, measure, summary, classes, is_split, tuple(notes))


def _with_category_ids(predicted: PredictedMaps, labelled: LabelledSet, notes: list[str]) -> PredictedMaps:
    """Convert COCO-Stuff's original ids, which Detectron2 writes, to ours where the ids cannot be ours."""
    if labelled.categories != coco_stuff():
        return predicted
    used = {category_id for codes in predicted.codes.values() for category_id, _ in codes}
    ours = {value + 1: category.id for value, category in zip(coco_stuff_raw_values(), coco_stuff(), strict=True)}
    if not used <= ours.keys() or max(used) < len(ours):
        return predicted
    notes.append("The category ids are COCO-Stuff's original ones, 1 to 182.")
    codes = {key: [(ours[category_id], code) for category_id, code in found] for key, found in predicted.codes.items()}
    return replace(predicted, codes=codes)


def _notes(confusion: Confusion, summary: Summary, classes: ClassList, options: ScoreOptions) -> Iterator[str]:
    missed, labelled = int(confusion.unpredicted.sum()), int(summary.per_class["labelled"].sum())
    if options.means == "all":
        yield "Classes in neither labels nor predictions count as 0 in the means (--means all)."
    if missed:
        yield f"{missed} of {labelled} labelled pixels are predicted as no class; they count as wrong."
    right = int(confusion.array.trace())
    if labelled and right <= _FEW * labelled:
        yield f"Almost nothing matches: {right} of {labelled} labelled pixels."
        off_diagonal = confusion.array * ~np.eye(len(confusion.array), dtype=bool)
        truth, guess = np.unravel_index(int(off_diagonal.argmax()), off_diagonal.shape)
        if off_diagonal[truth, guess]:
            listed = classes.classes
            yield (
                f"The most frequent mistake is {listed[guess].category_id} ({listed[guess].name}) for "
                f"{listed[truth].category_id} ({listed[truth].name}): the ids may be those of another list."
            )
