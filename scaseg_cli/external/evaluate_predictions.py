"""Scores predictions in COCO's panoptic format, and makes their result table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scaseg_cli.data.annotations import read_panoptic_files
from scaseg_cli.errors import ScasegError
from scaseg_cli.external.notes import panoptic_notes
from scaseg_cli.external.predicted_set import PredictedSet, read_predictions
from scaseg_cli.external.score_files import score_files
from scaseg_cli.external.score_options import ScoreOptions
from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.measures.panoptic import PanopticMeasure
from scaseg_cli.measures.result_table import class_table
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table
from scaseg_cli.split.classes import class_list
from scaseg_cli.split.unseen import find_unseen, unseen_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.measures.summary import Summary
    from scaseg_cli.split.classes import ClassList

_TOGETHER = {"all": ("", ""), "things": ("th_", "Th"), "stuff": ("st_", "St")}  # prefixes of a measure's key and title


@dataclass(frozen=True)
class PredictionScore:
    """The score of predictions in files.

    Attributes:
        folder: the folder of the predicted PNGs.
        json_file: the JSON file of the predictions.
        measure: panoptic quality over the classes of the annotations.
        summary: its means and its values by class, as fractions.
        classes: the classes of the annotations, seen ones first.
        is_split: whether some classes are unseen.
        notes: the number of images, the JSON file, and anything unusual.
    """

    folder: Path
    json_file: Path
    measure: PanopticMeasure
    summary: Summary
    classes: ClassList
    is_split: bool
    notes: tuple[str, ...]

    def stage_report(self, per_class: bool = False) -> StageReport:
        """Make the result table and, with ``per_class``, the table by class."""
        first, *others = self.notes
        notes = [f"{first} Th: things, St: stuff.", *others]
        columns, row = _table(self.measure, self.summary, self.is_split)
        tables = [Table(f"{self.folder}: {self.measure.title}", columns, row, notes)]
        if per_class:
            title = f"{self.folder}: by class"
            tables.append(class_table(title, self.measure, self.summary, self.classes.names))
        summary = {"json": str(self.json_file), **self.summary.as_json_value()}
        return StageReport("evaluation", tables, [], None, summary)


def score_predictions(
    folder: Path,
    annotations: Path,
    labels: Path | None = None,
    unseen: str | Sequence[str] | None = None,
    options: ScoreOptions | None = None,
) -> PredictionScore:
    """Score predictions in COCO's panoptic format; writes no file.

    Args:
        folder: the folder of the predicted PNGs; see `read_predictions` for their JSON.
        annotations: COCO's panoptic JSON of the labels.
        labels: the folder of the label PNGs; None: the annotation file's name without ``.json``, as in COCO.
        unseen: the unseen classes: a known split, a file of names, or names; None: all classes count as seen.
        options: the JSON, the images and the means; None: the defaults.

    Raises:
        ScasegError: annotations, unseen names or predictions are wrong; lists all wrong predictions by image.
    """
    options = options or ScoreOptions()
    labels_dir = labels if labels is not None else annotations.with_suffix("")
    labelled = read_panoptic_files(annotations, annotations.parent, labels_dir)
    hidden = find_unseen(unseen, unseen_names(unseen), labelled.categories) if unseen is not None else ()
    classes = class_list(labelled.categories, hidden)
    predicted = read_predictions(folder, labelled, options.json_file)
    num_images = len(labelled.images)
    if options.only_predicted:
        labelled = only_predicted(labelled, predicted)
    scored = score_files(labelled, predicted, classes.class_ids, len(classes))
    measure = PanopticMeasure(np.arange(len(classes)) < classes.num_seen, classes.isthing, options.means == "all")
    summary = measure.summarise(scored.quality)
    notes = tuple(panoptic_notes(labelled, num_images, predicted, scored, options))
    return PredictionScore(folder, predicted.json_file, measure, summary, classes, bool(hidden), notes)


def only_predicted(labelled: LabelledSet, predicted: PredictedSet) -> LabelledSet:
    """The labelled images that have a prediction.

    Raises:
        ScasegError: none has one.
    """
    kept = [record.image_id for record in labelled.images if record.image_id in predicted.images]
    if not kept:
        raise ScasegError(
            f"no prediction in {predicted.json_file} is of one of the {len(labelled.images)} images of the annotations",
            "Compare the image_id of both files.",
        )
    predicted.mistakes = {image_id: predicted.mistakes[image_id] for image_id in kept if image_id in predicted.mistakes}
    return labelled.only(kept)


def _table(measure: PanopticMeasure, summary: Summary, is_split: bool) -> tuple[list[Column], list[dict[str, Any]]]:
    """The columns and the only row: seen, unseen and harmonic mean if classes are split, then all, things and stuff."""
    prefixes = {group: (letter, letter) for group, letter in LETTERS.items()} if is_split else {}
    columns, row = [], {}
    for place, quantity in enumerate(measure.quantities):
        for group, (key, title) in {**prefixes, **_TOGETHER}.items():
            columns.append(Column(f"{key}{quantity.key}", f"{title}{quantity.title}", "percent", is_detail=place > 0))
            row[columns[-1].key] = summary.groups[group][quantity.key]
    return columns, [row]
