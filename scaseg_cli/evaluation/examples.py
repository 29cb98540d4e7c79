"""A picture of results: a few validation images with their labels and with what each setting makes of them.

Shown are the first images, by image id, of those that hold an unseen class; nothing is picked by how well it turned
out. Inference and the mark of a wrong segment are those of the scores (`score`, `PanopticQuality`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaseg_cli.base.segmentor import load_segmentor
from scaseg_cli.data.images import read_image, read_label
from scaseg_cli.evaluation.fusion import Fused, FusionRule, MaskSet
from scaseg_cli.evaluation.panoptic_quality import PanopticQuality, PreparedLabel
from scaseg_cli.evaluation.picture import ClassLook, Region, draw_image, draw_regions, draw_sheet, palette_colour
from scaseg_cli.evaluation.score import Candidate, class_shares, prepared_label
from scaseg_cli.files import replaced
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split import ClassList, read_classes
from scaseg_cli.split.rules import holds_unseen

if TYPE_CHECKING:
    from scaseg_cli.data.records import Category, ImageRecord, LabelledSet

NUM_EXAMPLES = 6


@dataclass(frozen=True)
class Shown:
    """A column of the picture: what is scored, under a title and a remark."""

    title: str
    remark: str
    candidate: Candidate


def draw_examples(
    recipe: Recipe, run: RunDir, images: LabelledSet, shown: Sequence[Shown], number: int = NUM_EXAMPLES
) -> None:
    """Write `RunDir.examples_file`.

    Args:
        recipe: its evaluation section has the thresholds.
        run: the run folder with its finished base stage.
        images: the validation images.
        shown: the columns beside image and label.
        number: rows, at most.

    Raises:
        ScasegError: the base model is missing or of another recipe, or an image cannot be read.
    """
    classes = read_classes(run)
    rule = FusionRule(classes.isthing, recipe.evaluation.object_threshold, recipe.evaluation.overlap_threshold)
    looks = class_looks(images.categories, classes)
    segmentor = load_segmentor(recipe, run)
    records = chosen_images(images, classes, number)
    rows: list[tuple[str, list[Image.Image]]] = []
    for record in records:
        image = read_image(images.image_path(record), record)
        label = prepared_label(images, record, classes)
        ((visual_QD, masks_QHW),) = segmentor.segment([image])
        masks = MaskSet(masks_QHW.numpy())
        shares = class_shares([column.candidate for column in shown], visual_QD[None], classes.num_seen)
        cells = [draw_image(image), draw_regions(image, labelled_regions(images, record, classes, looks))]
        for scores_1Q, labels_1Q in shares.values():
            fused = masks.fuse(scores_1Q[0], labels_1Q[0], rule)
            cells.append(draw_regions(image, predicted_regions(fused, label, looks)))
        rows.append((record.file_name, cells))
    columns = [("image", ""), ("label", "the truth"), *((column.title, column.remark) for column in shown)]
    _save(draw_sheet(f"{recipe.name}: {_which(records, classes)}", _notes(classes), columns, rows), run.examples_file)


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


def predicted_regions(fused: Fused, label: PreparedLabel, looks: Sequence[ClassLook]) -> list[Region]:
    """The segments of a prediction; wrong are those that count as false positives against ``label``."""
    regions = []
    for segment_id, class_id in zip(fused.ids.tolist(), fused.class_ids.tolist(), strict=True):
        mask_HW = fused.segment_map_HW == segment_id
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


def _notes(classes: ClassList) -> list[str]:
    unseen = ", ".join(classes.names[classes.num_seen :])
    return [f"No training image held one of the unseen classes: {unseen}."]


def _save(sheet: Image.Image, path: Path) -> None:
    with replaced(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
