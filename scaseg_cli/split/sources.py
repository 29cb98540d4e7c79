"""Reads and checks the annotated images of all parts for the split stage, and draws the embedded world."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.class_lists import read_class_list
from scaseg_cli.data.folders import data_root
from scaseg_cli.data.located import with_located_images
from scaseg_cli.data.map_pairs import pair_files
from scaseg_cli.data.records import Category, LabelledSet
from scaseg_cli.data.semantic import scan_semantic_set
from scaseg_cli.split.lists import PARTS, Part, part_source, turns
from scaseg_cli.split.rules import check_same_categories
from scaseg_cli.split.unseen import find_unseen, unseen_names
from scaseg_cli.stages import bring_back, is_done, recording

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.data_section import ImageSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

Sets = dict[Part, LabelledSet]
_PARTS_AS_READ: tuple[Part, ...] = ("train", "validation", "selection")


def make_embedded_world(recipe: Recipe, run: RunDir) -> None:
    """Run the stage "data": draw the embedded world if the recipe uses it and it does not exist yet.

    Raises:
        ScasegError: an unseen name is not in the world, or its folder contains other data or cannot be written.
    """
    if recipe.data.shapes is None:
        return
    bring_back(recipe, run, "data")
    root = data_root(recipe, run)
    if is_done(recipe, run, "data") and all((root / name).exists() for name in _world_parts(recipe)):
        return
    from scaseg_cli.shapes.make import make_shapes  # loads OpenCV, which other data does not need
    from scaseg_cli.shapes.world import CLASSES

    known = [Category(cls.category_id, cls.name, cls.isthing) for cls in CLASSES]
    find_unseen(recipe.split.unseen, unseen_names(recipe.split.unseen), known)  # before thousands of images are drawn
    config = recipe.data.shapes
    with recording(recipe, run, "data") as summary:
        make_shapes(root, config)
        summary |= {"train": config.num_train, "selection": config.num_selection, "validation": config.num_validation}


def _world_parts(recipe: Recipe) -> list[str]:
    """The paths of the embedded world that this recipe reads; an older world may lack the label maps."""
    sources = [part_source(recipe, part) for part in PARTS]
    return [name for source in sources for name in (source.annotations, source.labels, source.images) if name] + (
        [recipe.data.categories] if recipe.data.categories is not None else []
    )


def read_sets(recipe: Recipe, run: RunDir) -> Sets:
    """Read all annotated images of each part; a source shared by two parts is read once.

    Raises:
        ScasegError: annotations, files, label maps or unseen names are wrong, or the classes of the parts differ.
    """
    root = data_root(recipe, run)
    if recipe.data.categories is not None:
        _check_before_scan(recipe, root, recipe.data.categories)
    by_source: dict[ImageSet, LabelledSet] = {}
    for part in _PARTS_AS_READ:
        source = part_source(recipe, part)
        if source not in by_source:
            by_source[source] = _read_set(recipe, root, part)
            check_same_categories(by_source[recipe.data.train], "train", by_source[source], part)
    return {part: by_source[part_source(recipe, part)] for part in PARTS}


def _check_before_scan(recipe: Recipe, root: Path, categories: str) -> None:
    """Check what can be checked before reading a hundred thousand label maps."""
    find_unseen(recipe.split.unseen, unseen_names(recipe.split.unseen), read_class_list(root, categories))
    for source in dict.fromkeys(part_source(recipe, part) for part in PARTS):
        pair_files(root, source)


def _read_set(recipe: Recipe, root: Path, part: Part) -> LabelledSet:
    source = part_source(recipe, part)
    data = recipe.data
    if data.categories is None:
        return replace(with_located_images(read_panoptic_set(root, source, recipe.data.things)), turned=turns(recipe))
    return scan_semantic_set(root, source, data.categories, part, data.ignored, data.colours, turns(recipe))


def share_labels(recipe: Recipe, root: Path, part: Part) -> bool:
    """Whether ``part`` uses the labels of the training set, as a first test on small data may do."""
    places = [
        [(root / name).resolve() for name in (source.annotations or source.labels, source.list or "")]
        for source in (recipe.data.train, part_source(recipe, part))
    ]
    return places[0] == places[1]
