"""The training, selection and validation lists of images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.folders import check_files, data_root
from scaseg_cli.data.located import with_located_images
from scaseg_cli.data.semantic import read_index
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.classes import SPLIT_AGAIN, read_split_file
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.data.records import ImageId, LabelledSet
    from scaseg_cli.recipe.data_section import ImageSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

Part = Literal["train", "selection", "validation"]
PARTS: tuple[Part, ...] = ("train", "selection", "validation")


def part_source(recipe: Recipe, part: Part) -> ImageSet:
    """The source of the images of ``part``; without data.selection, selection images come from validation."""
    if part == "train":
        return recipe.data.train
    if part == "selection" and recipe.data.selection is not None:
        return recipe.data.selection
    return recipe.data.validation


def own_parts(recipe: Recipe) -> list[Part]:
    """The parts with images of their own; a selection that is taken from validation is none."""
    return [part for part in PARTS if part != "selection" or recipe.data.selection is not None]


def turns(recipe: Recipe) -> bool:
    """Whether images are turned by their EXIF orientation."""
    return recipe.data.exif == "turn"


def read_image_ids(run: RunDir) -> dict[str, list[ImageId]]:
    """Read the image ids of the lists train, selection and validation.

    Raises:
        ScasegError: the split stage has not run, or its output was modified.
    """
    content = read_split_file(run.images_file)
    whole = set(content) == set(PARTS) and all(
        isinstance(ids, list) and all(type(image_id) in (int, str) for image_id in ids) for ids in content.values()
    )
    if not whole:
        raise ScasegError(f"{run.images_file} is not a set of image lists", SPLIT_AGAIN)
    return content


def label_indexes(recipe: Recipe, run: RunDir) -> dict[Part, Path]:
    """The label map index of each part; parts of one source share it, and panoptic labels have none."""
    if task_of(recipe).labels == "panoptic":
        return {}
    named: dict[ImageSet, Path] = {}
    parts: tuple[Part, ...] = ("train", "validation", "selection")
    return {part: named.setdefault(part_source(recipe, part), run.label_index_file(part)) for part in parts}


def open_set(recipe: Recipe, run: RunDir, part: Part) -> LabelledSet:
    """Open the images of one of the split's lists, in the list's order, with either kind of labels.

    Raises:
        ScasegError: the data has not been split, its annotations are wrong, or image or label files are missing.
    """
    image_ids = read_image_ids(run)[part]
    root, source = data_root(recipe, run), part_source(recipe, part)
    index = label_indexes(recipe, run).get(part)
    if index is None:
        whole = with_located_images(read_panoptic_set(root, source, recipe.data.things))
    else:
        whole = read_index(index, root, source)
    labelled = replace(whole.only(image_ids), turned=turns(recipe))
    check_files(labelled)
    return labelled
