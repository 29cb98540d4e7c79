"""The split stage: seen and unseen classes, and the images that each later stage may use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scaseg_cli.data.folders import check_files, data_root
from scaseg_cli.data.records import ids_in_order
from scaseg_cli.data.semantic import write_index
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, hash_value, write_json
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.split.classes import ClassList, class_list, write_classes
from scaseg_cli.split.header_check import check_headers
from scaseg_cli.split.label_sample import NUM_CHECKED, check_label_sample
from scaseg_cli.split.lists import PARTS, Part, label_indexes
from scaseg_cli.split.reading_notes import check_notes, header_notes, left_out_names
from scaseg_cli.split.rules import check_apart, check_trainable, parted_validation, training_ids
from scaseg_cli.split.same_images import images_in_two_parts, names_of
from scaseg_cli.split.sources import Sets, make_embedded_world, read_sets, share_labels
from scaseg_cli.split.table import ignored_share, split_table
from scaseg_cli.split.unseen import find_unseen, unseen_names
from scaseg_cli.stages import recording
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.data.records import ImageId, LabelledSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.split.header_check import Headers


def split_dataset(recipe: Recipe, run: RunDir, check_png: int | None = NUM_CHECKED) -> StageReport:
    """Write the class list and the image lists; first draw the embedded world if the recipe uses it.

    For label maps it also writes an index of each image with the pixel count of every class. Its record has a digest of
    each list, on which the keys of later stages depend.

    Args:
        recipe: names the data and the unseen classes.
        run: the run folder.
        check_png: number of panoptic PNGs per list to read, None for all; label maps are all read.

    Raises:
        ScasegError: the annotations, files or unseen names are wrong, or a list has no image.
    """
    make_embedded_world(recipe, run)
    indexes = label_indexes(recipe, run)
    outputs = [run.classes_file, run.images_file, *dict.fromkeys(indexes.values())]
    with recording(recipe, run, "split", *outputs) as summary:
        whole = read_sets(recipe, run)
        categories = whole["train"].categories
        unseen = unseen_names(recipe.split.unseen)
        if ignored := [name for name in whole["train"].findings.ignored_classes if name in unseen]:
            raise ScasegError(
                f"split.unseen names {', '.join(map(repr, ignored))}, whose value is in data.ignored",
                "Take it out of one of them.",
            )
        classes = class_list(categories, find_unseen(recipe.split.unseen, unseen, categories))
        sets = _choose_images(recipe, whole, classes)
        _check_sets(recipe, run, sets)
        headers = check_headers(sets)
        checks = check_label_sample(sets, check_png)
        twins = images_in_two_parts(sets, {part: headers[part].sizes for part in PARTS})
        for index, labelled in {indexes[part]: whole[part] for part in indexes}.items():
            write_index(index, labelled)
        write_classes(run, recipe.task, classes)
        write_json(run.images_file, {part: [record.image_id for record in sets[part].images] for part in PARTS})
        summary.lists = _digests(run, sets["validation"], headers)
        dropped = len(whole["train"].images) - len(sets["train"].images)
        summary |= {"num_seen": classes.num_seen, "num_unseen": len(classes) - classes.num_seen}
        summary |= {part: len(sets[part].images) for part in PARTS} | {"dropped": dropped}
        if task_of(recipe).keeps_unseen:
            summary["ignored"] = ignored_share(sets["train"], classes)
    table = split_table(recipe, sets, classes, dropped, twins)
    table = replace(table, notes=[*table.notes, *header_notes(recipe, headers), *check_notes(checks)])
    listed: dict[str, Any] = {}
    if twins:
        listed["same_images"] = {f"{one}, {other}": names_of(pairs) for (one, other), pairs in twins.items()}
    if left_out := left_out_names(recipe, sets, checks):
        listed["left_out"] = left_out
    return StageReport("split", [table], outputs, "scaseg embed-classes", dict(summary) | listed)


def _digests(run: RunDir, validation: LabelledSet, headers: Mapping[Part, Headers]) -> dict[str, str]:
    """The digests of the written lists by name; results depend on the classes' colours, too, which pictures show."""
    digests: dict[str, str] = {part: headers[part].digest for part in PARTS}
    colours = [(category.id, category.colour) for category in validation.categories]
    digests["validation"] = hash_value([digests["validation"], colours])
    return {"classes": hash_file(run.classes_file)} | digests


def _choose_images(recipe: Recipe, whole: Sets, classes: ClassList) -> Sets:
    validation_ids = [record.image_id for record in whole["validation"].images]
    if recipe.data.selection is None:
        selection_ids, validation_ids = parted_validation(validation_ids, recipe.data.selection_fraction)
    else:
        selection_ids = ids_in_order(record.image_id for record in whole["selection"].images)
        validation_ids = ids_in_order(validation_ids)
    kept = training_ids(whole["train"], classes, task_of(recipe).keeps_unseen)
    chosen: dict[Part, list[ImageId]] = {"train": kept, "selection": selection_ids, "validation": validation_ids}
    for part, image_ids in chosen.items():
        if not image_ids:
            raise ScasegError(f"the {part} annotations hold no image", f"Check data.{part} in the recipe.")
    return {part: whole[part].only(chosen[part]) for part in PARTS}


def _check_sets(recipe: Recipe, run: RunDir, sets: Sets) -> None:
    check_trainable(sets["train"])
    for part in PARTS:
        check_files(sets[part])
    check_apart(sets["selection"], "selection", sets["validation"], "validation")
    others: tuple[Part, ...] = ("selection", "validation")
    for part in others:
        if not share_labels(recipe, data_root(recipe, run), part):
            check_apart(sets["train"], "train", sets[part], part)
