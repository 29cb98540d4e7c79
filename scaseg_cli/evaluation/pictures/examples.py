"""A picture of results: a few validation images with their labels and each setting's predictions.

It takes the unseen classes in turn and shows the first image, by image id, that holds each, then the second; none is
picked by its result. Inference is the same as for the scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.images import read_image
from scaseg_cli.drawing.class_styles import class_styles
from scaseg_cli.drawing.regions import draw_image, draw_regions
from scaseg_cli.drawing.sheet import Sheet, SheetRow, draw_sheet
from scaseg_cli.evaluation.candidates import Candidate, probabilities_of
from scaseg_cli.evaluation.pictures.regions import labelled_regions, nearest_in_words, predicted_regions, prepared_label
from scaseg_cli.files import replaced
from scaseg_cli.split.rules import holds_unseen
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from scaseg_cli.data.records import ImageId, ImageRecord, LabelledSet
    from scaseg_cli.embeddings.store import ClassEmbeddings
    from scaseg_cli.evaluation.scored_set import ScoredSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.classes import ClassList

NUM_EXAMPLES = 6


@dataclass(frozen=True)
class Shown:
    """A column of the picture: a candidate under a title and a remark."""

    title: str
    remark: str
    candidate: Candidate


class ExampleRow(NamedTuple):
    """A row of the picture: the file's name, and its cells from left to right."""

    file_name: str
    cells: list[Image.Image]


def draw_rows(
    scored: ScoredSet, wanted: Sequence[tuple[Recipe, Sequence[Shown]]], number: int = NUM_EXAMPLES
) -> list[list[ExampleRow]]:
    """Draw the rows of each run's picture: a few images, each segmented once for all runs.

    Args:
        scored: the validation images.
        wanted: for each run, its recipe (the evaluation section gives the thresholds) and the columns that follow
            image and label.
        number: maximum number of rows.

    Raises:
        ScasegError: the base model is missing or was made by another recipe, or an image cannot be read.
    """
    images, classes, inference = scored.images, scored.classes, scored.inference
    styles = class_styles(images, classes)
    pictures: list[list[ExampleRow]] = [[] for _ in wanted]
    for record in chosen_images(images, classes, number):
        image, label = (
            read_image(images.image_path(record), record, images.turned),
            prepared_label(images, record, classes),
        )
        visual_1QD, (prepared,), regions = scored.segment(scored.read([record]))
        both = [draw_image(image), draw_regions(image, labelled_regions(images, record, classes, styles))]
        for (recipe, columns), rows in zip(wanted, pictures, strict=True):
            cells = list(both)
            for column in columns:
                probabilities_1QN1 = probabilities_of(column.candidate, visual_1QD, classes.num_seen, regions)
                found = prepared.predict(probabilities_1QN1[0], inference.rule_of(recipe.evaluation))
                cells.append(draw_regions(image, predicted_regions(found, label, styles)))
            rows.append(ExampleRow(record.file_name, cells))
    return pictures


def save_examples(
    recipe: Recipe,
    run: RunDir,
    scored: ScoredSet,
    shown: Sequence[Shown],
    rows: Sequence[ExampleRow],
    embeddings: ClassEmbeddings,
) -> None:
    """Write `RunDir.examples_file` from a run's columns and rows; ``embeddings`` say which seen classes look alike.

    Raises:
        ScasegError: the run folder cannot be written.
    """
    classes = scored.classes
    records = chosen_images(scored.images, classes, len(rows))
    title = f"{recipe.name}: {_which(records, classes)}"
    columns = [("image", ""), ("label", "the truth"), *((column.title, column.remark) for column in shown)]
    shown_rows = [
        SheetRow([row.file_name, nearest_in_words(record, classes, embeddings)], row.cells)
        for record, row in zip(records, rows, strict=True)
    ]
    sheet = draw_sheet(Sheet(title, _notes(recipe, classes), columns, shown_rows))
    with replaced(run.examples_file) as temporary:
        sheet.save(temporary, format="PNG")  # optimize takes six times as long for 5 % of the bytes


def chosen_images(images: LabelledSet, classes: ClassList, number: int) -> list[ImageRecord]:
    """Return ``number`` images that hold unseen classes, which take turns; if too few do, others follow them.

    Each class, in the order of the class ids, takes the first image by image id that holds it and that no class has
    taken. Datasets often name files by class, so the first images by id alone would show one class.
    """
    records = sorted(images.images, key=lambda record: record.image_id)
    unseen = [item.category_id for item in classes.classes[classes.num_seen :]]
    waiting = [[r for r in records if any(s.category_id == category for s in r.segments)] for category in unseen]
    taken: dict[ImageId, ImageRecord] = {}
    queues = [iter(holding) for holding in waiting]
    while queues and len(taken) < number:
        for queue in list(queues):
            following = next((record for record in queue if record.image_id not in taken), None)
            if following is None:
                queues.remove(queue)
            else:
                taken[following.image_id] = following
    rest = [record for record in records if record.image_id not in taken]
    return [*taken.values(), *rest][:number]


def _which(records: Sequence[ImageRecord], classes: ClassList) -> str:
    if all(holds_unseen(record, classes) for record in records):
        return f"{len(records)} validation images, the first of each unseen class in turn"
    return f"{len(records)} validation images, those that hold unseen classes first"


def _notes(recipe: Recipe, classes: ClassList) -> list[str]:
    unseen = ", ".join(classes.names[classes.num_seen :])
    what = "label used in training named" if task_of(recipe).keeps_unseen else "training image held"
    return [f"No {what} one of the unseen classes: {unseen}."]
