"""One fold as a run folder: its recipe, its classes without the real unseen ones, and its images.

A fold's training images are some of the run's, and so are its selection images, which are set aside. No image of the
run's selection or validation is in a fold, nor a label of an unseen class: where label maps show one, it is ignored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from scaseg_cli.data.semantic import write_index
from scaseg_cli.files import hash_file, hash_value, write_json
from scaseg_cli.folds.division import training_ids
from scaseg_cli.recipe.load import check_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shared_stages import link_folder
from scaseg_cli.split.classes import ClassList, write_classes
from scaseg_cli.split.lists import label_indexes
from scaseg_cli.stages import is_done, recording
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.folds.division import Division
    from scaseg_cli.recipe.schema import Recipe


def fold_recipe(recipe: Recipe, held_out: Sequence[str]) -> Recipe:
    """The recipe of a fold: all images are training images of the run, and the unseen classes are those held out.

    Keys that are auto, or of other works than training and choosing, have plain values.
    """
    content = recipe.model_dump(mode="json")
    content["data"] |= {"selection": content["data"]["train"], "validation": content["data"]["train"]}
    content["split"] = {"unseen": list(held_out)}
    content |= {"nodes": 1, "tensorboard": False, "wandb": None}
    content["base"]["validate_every"] = 0
    content["evaluation"] |= {"choose_on": "unseen_labels", "setting": "both"}
    plain = {"beta": 0.0, "noise": "none", "unseen_weight": None}
    for section, key in (("union", "unseen_weight"), ("cat", "noise")):
        if content[section][key] == "auto":
            content[section][key] = plain[key]
    if content["union"]["unseen_pull"]["beta"] == "auto":
        content["union"]["unseen_pull"]["beta"] = plain["beta"]
    return check_recipe(content, f"the fold of {recipe.name}")


def fold_run(recipe: Recipe, run: RunDir, number: int) -> RunDir:
    """The run folder of a fold; the embedded world that it reads is linked into it."""
    fold = RunDir(run.fold("folds", number))
    if recipe.data.shapes is not None:
        link_folder(fold.path / "data", run.path / "data")
    return fold


def split_fold(
    recipe: Recipe, fold: RunDir, train: LabelledSet, classes: ClassList, division: Division, digest: str
) -> None:
    """Write the classes and images of a fold, unless they are written.

    Args:
        recipe: the fold's.
        fold: its run folder.
        train: the training images of the run.
        classes: the classes of the run.
        division: of all folds.
        digest: that of the run's training images and labels.
    """
    if is_done(recipe, fold, "split"):
        return
    held_out = set(recipe.split.unseen)
    own = sorted(
        (replace(item, seen=item.name not in held_out) for item in classes.classes if item.seen),
        key=lambda item: (not item.seen, item.category_id),
    )
    fold_classes = ClassList(tuple(own))
    keeps = task_of(recipe).keeps_unseen
    trained = training_ids(train, division.set_aside, fold_classes.unseen_category_ids, keeps)
    aside = list(division.set_aside)
    indexes = label_indexes(recipe, fold)
    outputs = [fold.classes_file, fold.images_file, *dict.fromkeys(indexes.values())]
    with recording(recipe, fold, "split", *outputs) as summary:
        for index in dict.fromkeys(indexes.values()):
            write_index(index, without_classes(train, classes.unseen_category_ids))
        write_classes(fold, recipe.task, fold_classes)
        write_json(fold.images_file, {"train": trained, "selection": aside, "validation": aside})
        lists = {"train": trained, "selection": aside, "validation": aside}
        summary.lists = {part: hash_value([digest, ids]) for part, ids in lists.items()}
        summary.lists["classes"] = hash_file(fold.classes_file)
        summary |= {"held_out": sorted(held_out), "train": len(trained), "selection": len(aside)}


def without_classes(labelled: LabelledSet, category_ids: Collection[int]) -> LabelledSet:
    """Make classes of label maps ignored, as if the maps had no class there."""
    hidden = set(category_ids)
    keep = [item.id not in hidden for item in labelled.categories]
    images = tuple(
        msgspec.structs.replace(
            record, segments=tuple(segment for segment in record.segments if segment.category_id not in hidden)
        )
        for record in labelled.images
    )
    categories = tuple(item for item, kept in zip(labelled.categories, keep, strict=True) if kept)
    found = replace(labelled, images=images, categories=categories)
    if labelled.colours is not None:
        ids = tuple(None if one in hidden else one for one in labelled.colours.category_ids)
        return replace(found, colours=replace(labelled.colours, category_ids=ids))
    assert labelled.map_values is not None
    values = list(zip(labelled.map_values, keep, strict=True))
    return replace(
        found,
        map_values=tuple(value for value, kept in values if kept),
        ignored=(*labelled.ignored, *(value for value, kept in values if not kept)),
    )
