"""The split stage: seen and unseen classes, and the images that each later stage may look at."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scaseg_cli.data.panoptic import LabelledSet, check_files, data_root, read_panoptic_set
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_json
from scaseg_cli.recipe.schema import ImageSet, Recipe
from scaseg_cli.results.report import Report
from scaseg_cli.results.table import Column, Table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import ClassList, class_list, write_classes
from scaseg_cli.split.lists import PARTS, Part, part_source
from scaseg_cli.split.rules import (
    check_apart,
    check_same_categories,
    holds_unseen,
    parted_validation,
    shared_images,
    training_ids,
)
from scaseg_cli.split.unseen import check_unseen, unseen_names
from scaseg_cli.stages import is_done, recording

Sets = dict[Part, LabelledSet]


def split_dataset(recipe: Recipe, run: RunDir) -> Report:
    """Write the class list and the image lists; draw the embedded world first where the recipe asks for it.

    Raises:
        ScasegError: the annotations, the files or the unseen names are wrong, or a list is left without an image.
    """
    make_embedded_world(recipe, run)
    with recording(recipe, run, "split", run.classes_file, run.images_file) as summary:
        whole = _read_sets(recipe, run)
        names = unseen_names(recipe.split.unseen)
        check_unseen(recipe.split.unseen, names, whole["train"].categories)
        classes = class_list(whole["train"].categories, names)
        sets = _choose_images(recipe, whole, classes)
        _check_sets(recipe, run, sets)
        write_classes(run, recipe.task, classes)
        write_json(run.images_file, {part: [record.image_id for record in sets[part].images] for part in PARTS})
        dropped = len(whole["train"].images) - len(sets["train"].images)
        summary |= {"num_seen": classes.num_seen, "num_unseen": len(classes) - classes.num_seen}
        summary |= {part: len(sets[part].images) for part in PARTS} | {"dropped": dropped}
    table = _table(recipe, sets, classes, dropped)
    return Report("split", [table], [run.classes_file, run.images_file], "scaseg embed-classes", dict(summary))


def make_embedded_world(recipe: Recipe, run: RunDir) -> None:
    """Draw the embedded world where the recipe asks for it, unless it is there already: the stage "data"."""
    if recipe.data.shapes is None:
        return
    root = data_root(recipe, run)
    there = all((root / part_source(recipe, part).annotations).is_file() for part in PARTS)
    if there and is_done(recipe, run, "data"):
        return
    from scaseg_cli.shapes.make import make_shapes  # drawing loads OpenCV, which own data does not need

    config = recipe.data.shapes
    with recording(recipe, run, "data") as summary:
        make_shapes(root, config)
        summary |= {"train": config.num_train, "selection": config.num_selection, "validation": config.num_validation}


def _read_sets(recipe: Recipe, run: RunDir) -> Sets:
    """All annotated images of each part; two parts of one annotation file are read once."""
    root = data_root(recipe, run)
    by_source: dict[ImageSet, LabelledSet] = {}
    for part in ("train", "validation", "selection"):
        source = part_source(recipe, part)
        if source not in by_source:
            by_source[source] = read_panoptic_set(root, source)
            check_same_categories(by_source[recipe.data.train], "train", by_source[source], part)
    return {part: by_source[part_source(recipe, part)] for part in PARTS}


def _choose_images(recipe: Recipe, whole: Sets, classes: ClassList) -> Sets:
    validation_ids = [record.image_id for record in whole["validation"].images]
    if recipe.data.selection is None:
        selection_ids, validation_ids = parted_validation(validation_ids, recipe.data.selection_fraction)
    else:
        selection_ids = sorted(record.image_id for record in whole["selection"].images)
        validation_ids = sorted(validation_ids)
    chosen = {"train": training_ids(whole["train"], classes), "selection": selection_ids, "validation": validation_ids}
    for part, image_ids in chosen.items():
        if not image_ids:
            raise ScasegError(f"the {part} annotations hold no image", f"Check data.{part} in the recipe.")
    return {part: whole[part].only(chosen[part]) for part in PARTS}


def _check_sets(recipe: Recipe, run: RunDir, sets: Sets) -> None:
    for part in PARTS:
        check_files(sets[part])
    check_apart(sets["selection"], "selection", sets["validation"], "validation")
    for part in ("selection", "validation"):
        if not _share_annotations(recipe, run, part):
            check_apart(sets["train"], "train", sets[part], part)


def _share_annotations(recipe: Recipe, run: RunDir, part: Part) -> bool:
    """Whether ``part`` is of the training set's own annotation file: small own data may try the method that way."""
    root = data_root(recipe, run)
    return (root / recipe.data.train.annotations).resolve() == (root / part_source(recipe, part).annotations).resolve()


def _table(recipe: Recipe, sets: Sets, classes: ClassList, dropped: int) -> Table:
    rows = [{"list": part, **_counts(sets[part], classes)} for part in PARTS]
    rows[0]["dropped"] = dropped
    num_unseen = len(classes) - classes.num_seen
    return Table(
        f"{recipe.name}: {classes.num_seen} seen and {num_unseen} unseen classes",
        [
            Column("list", "list", "text"),
            Column("images", "images", "count"),
            Column("with_unseen", "with unseen", "count"),
            Column("seen_segments", "seen segments", "count"),
            Column("unseen_segments", "unseen segments", "count"),
            Column("dropped", "dropped", "count"),
        ],
        rows,
        _notes(sets, classes),
    )


def _counts(panoptic_set: LabelledSet, classes: ClassList) -> dict[str, Any]:
    segments = _segments_by_category(panoptic_set)
    unseen = sum(segments[category_id] for category_id in classes.unseen_category_ids)
    return {
        "images": len(panoptic_set.images),
        "with_unseen": sum(holds_unseen(record, classes) for record in panoptic_set.images),
        "seen_segments": segments.total() - unseen,
        "unseen_segments": unseen,
    }


def _segments_by_category(panoptic_set: LabelledSet) -> Counter[int]:
    return Counter(segment.category_id for record in panoptic_set.images for segment in record.segments)


def _notes(sets: Sets, classes: ClassList) -> list[str]:
    """What a person should know before spending hours on this split."""
    trained = _segments_by_category(sets["train"])
    reported = _segments_by_category(sets["validation"])
    unlearnt = [item.name for item in classes.classes if item.seen and not trained[item.category_id]]
    unreported = [item.name for item in classes.classes if not item.seen and not reported[item.category_id]]
    notes = ["Dropped: training images that hold a segment of an unseen class."]
    if unlearnt:
        notes.append(f"Seen classes in no training image: {_some(unlearnt)}.")
    if unreported:
        notes.append(f"Unseen classes in no validation image: {_some(unreported)}.")
    for part in ("selection", "validation"):
        both = shared_images(sets["train"], sets[part])
        if both:
            notes.append(f"Images of {part} that are trained on too: {len(both)}; seen classes will score too high.")
    return notes


def _some(names: list[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
