"""A picture of results: a few validation images with their labels and with what each setting makes of them.

Shown are the first images, by image id, of those that hold an unseen class; nothing is picked by how well it turned
out. Inference is that of the scores. A predicted segment is wrong where it would be a false positive of panoptic
quality: no labelled segment of its class has an IoU with it above a half. Of a semantic prediction the region of each
class is such a segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.evaluation.fusion import Prediction
from scaseg_cli.evaluation.lineup import Candidate, shares_of
from scaseg_cli.evaluation.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label
from scaseg_cli.evaluation.passes import ScoredSet
from scaseg_cli.evaluation.picture import ClassLook, Region, draw_image, draw_regions, draw_sheet, palette_colour
from scaseg_cli.files import replaced
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import ClassList
from scaseg_cli.split.rules import holds_unseen
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from scaseg_cli.data.records import Category, ImageRecord, LabelledSet

NUM_EXAMPLES = 6


@dataclass(frozen=True)
class Shown:
    """A column of the picture: what is scored, under a title and a remark."""

    title: str
    remark: str
    candidate: Candidate


class Row(NamedTuple):
    """A row of the picture: the file's name, and its cells from left to right."""

    file_name: str
    cells: list[Image.Image]


def draw_rows(
    scored: ScoredSet, wanted: Sequence[tuple[Recipe, Sequence[Shown]]], number: int = NUM_EXAMPLES
) -> list[list[Row]]:
    """The rows of each run's picture: a few images, each segmented once for all runs.

    Args:
        scored: the validation images.
        wanted: for each run its recipe, whose evaluation section has the thresholds, and its columns beside image and
            label.
        number: rows, at most.

    Raises:
        ScasegError: the base model is missing or of another recipe, or an image cannot be read.
    """
    images, classes, measure = scored.images, scored.classes, scored.measure
    looks = class_looks(images.categories, classes)
    pictures: list[list[Row]] = [[] for _ in wanted]
    for record in chosen_images(images, classes, number):
        image, label = read_image(images.image_path(record), record), prepared_label(images, record, classes)
        visual_1QD, (prepared,) = scored.segment(scored.read([record]))
        both = [draw_image(image), draw_regions(image, labelled_regions(images, record, classes, looks))]
        for (recipe, columns), rows in zip(wanted, pictures, strict=True):
            cells = list(both)
            for column in columns:
                shares_1QN1 = shares_of(column.candidate, visual_1QD, classes.num_seen)
                found = prepared.predict(shares_1QN1[0], measure.rule_of(recipe.evaluation))
                cells.append(draw_regions(image, predicted_regions(found, label, looks)))
            rows.append(Row(record.file_name, cells))
    return pictures


def save_examples(recipe: Recipe, run: RunDir, scored: ScoredSet, shown: Sequence[Shown], rows: Sequence[Row]) -> None:
    """Write `RunDir.examples_file` from a run's columns and rows.

    Raises:
        ScasegError: the run folder cannot be written.
    """
    classes = scored.classes
    title = f"{recipe.name}: {_which(chosen_images(scored.images, classes, len(rows)), classes)}"
    columns = [("image", ""), ("label", "the truth"), *((column.title, column.remark) for column in shown)]
    sheet = draw_sheet(title, _notes(recipe, classes), columns, rows)
    with replaced(run.examples_file) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)


def chosen_images(images: LabelledSet, classes: ClassList, number: int) -> list[ImageRecord]:
    """The first ``number`` images by image id that hold an unseen class; where they are too few, others after them."""
    return sorted(images.images, key=lambda record: (not holds_unseen(record, classes), record.image_id))[:number]


def class_looks(categories: Iterable[Category], classes: ClassList) -> list[ClassLook]:
    """Names and colours by class id: the data's own colours where its annotation file has them."""
    colours = {category.id: category.colour for category in categories}
    return [
        ClassLook(item.name, colours.get(item.category_id) or palette_colour(class_id), not item.seen)
        for class_id, item in enumerate(classes.classes)
    ]


def labelled_regions(
    images: LabelledSet, record: ImageRecord, classes: ClassList, looks: Sequence[ClassLook]
) -> list[Region]:
    """The segments of an image's label, as they are drawn."""
    ids_HW = read_label(images, record)
    return [Region(ids_HW == s.id, looks[classes.class_ids[s.category_id]]) for s in record.segments]


def prepared_label(images: LabelledSet, record: ImageRecord, classes: ClassList) -> PreparedLabel:
    """The label of an image, ready to tell which predicted segments are wrong; for a semantic label too, whose
    segments are the regions of its classes.

    Raises:
        ScasegError: its PNG cannot be read or does not fit its annotation.
    """
    segments = record.segments
    return prepare_label(
        read_label(images, record),
        [segment.id for segment in segments],
        [classes.class_ids[segment.category_id] for segment in segments],
        [segment.iscrowd for segment in segments],
    )


def predicted_regions(found: Prediction, label: PreparedLabel, looks: Sequence[ClassLook]) -> list[Region]:
    """The segments of a prediction; wrong are those that count as false positives against ``label``."""
    regions = []
    for segment_id, class_id in enumerate(found.class_ids.tolist(), start=1):
        mask_HW = found.segment_map_HW == segment_id
        regions.append(Region(mask_HW, looks[class_id], _is_wrong(mask_HW, class_id, label, len(looks))))
    return regions


def _is_wrong(mask_HW: NDArray[np.bool_], class_id: int, label: PreparedLabel, num_classes: int) -> bool:
    """Whether a segment, counted alone, is a false positive."""
    quality = PanopticQuality(num_classes)
    pixels = np.bincount(label.index_X[mask_HW.ravel()], minlength=label.num_columns)
    quality.add_counts(label, [pixels.tolist()], [class_id])
    return bool(quality.fp.any())


def _which(records: Sequence[ImageRecord], classes: ClassList) -> str:
    if all(holds_unseen(record, classes) for record in records):
        return f"the first {len(records)} validation images that hold unseen classes"
    return f"{len(records)} validation images, those that hold unseen classes first"


def _notes(recipe: Recipe, classes: ClassList) -> list[str]:
    unseen = ", ".join(classes.names[classes.num_seen :])
    what = "label used in training named" if task_of(recipe).keeps_unseen else "training image held"
    return [f"No {what} one of the unseen classes: {unseen}."]
