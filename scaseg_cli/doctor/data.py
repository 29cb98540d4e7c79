"""Checks of the recipe's images and labels: folders, counts, annotation files, and the unseen names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaseg_cli.data.class_lists import read_class_list
from scaseg_cli.data.folders import data_root, files_below
from scaseg_cli.data.map_pairs import pair_files
from scaseg_cli.data.records import Category
from scaseg_cli.doctor.annotation_scan import scan_annotations
from scaseg_cli.doctor.coco import (
    NUM_CLASSES,
    fetch_annotations,
    fetch_images,
    fetch_label_maps,
    fetch_panoptic_labels,
    published_count,
)
from scaseg_cli.doctor.finding import Finding, missing, ready, warning
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.unseen import find_unseen, unseen_names
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import ImageSet, Recipe
    from scaseg_cli.run_dir import RunDir


def data_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check that each image set of the recipe exists and has the expected number of files."""
    if recipe.data.shapes is not None:
        return [ready("data", f"the embedded world: `scaseg split-dataset` draws it in {data_root(recipe, run)}")]
    root = data_root(recipe, run)
    sets = {"train": recipe.data.train, "validation": recipe.data.validation, "selection": recipe.data.selection}
    rows: list[Finding] = []
    for part, where in sets.items():
        if where is not None:
            check = panoptic_findings if task_of(recipe).labels == "panoptic" else label_map_findings
            rows += check(part, root, where)
    return rows


def panoptic_findings(part: str, root: Path, where: ImageSet) -> list[Finding]:
    """Check the images, annotation file and panoptic PNGs of one set."""
    assert where.annotations is not None
    annotations, expected = annotation_finding(part, root / where.annotations)
    images, labels = root / where.images, root / where.labels
    if expected is None:
        expected = published_count(root / where.annotations)
    return [
        folder_row(f"{part} images", images, expected, fetch_images(images), f"data.{part}.images"),
        annotations,
        folder_row(f"{part} labels", labels, expected, fetch_panoptic_labels(labels), f"data.{part}.labels", (".png",)),
    ]


def label_map_findings(part: str, root: Path, where: ImageSet) -> list[Finding]:
    """Check the images and label maps of one set, whose names must match."""
    images, labels = root / where.images, root / where.labels
    expected = published_count(images)
    rows = [
        folder_row(f"{part} images", images, expected, fetch_images(images), f"data.{part}.images"),
        folder_row(f"{part} labels", labels, None, fetch_label_maps(labels), f"data.{part}.labels"),
    ]
    if any(finding.state == "missing" for finding in rows):
        return rows
    try:
        pairs = pair_files(root, where)
    except ScasegError as error:
        return [rows[0], missing(f"{part} labels", error.message, fetch_label_maps(labels) or error.hint or "")]
    suffix = where.label_suffix or ("_labelTrainIds.png" if pairs.are_train_ids else ".png")
    found = f"{labels}: {len(pairs.pairs):,} label maps, NAME{suffix}"
    if pairs.unlabelled:
        found += f"; {len(pairs.unlabelled):,} of {len(pairs.unlabelled) + len(pairs.pairs):,} images have none"
        rows[1] = warning(
            f"{part} labels", found, f"Images without a label map are left out; data.{part}.list names some."
        )
    else:
        rows[1] = ready(f"{part} labels", found)
    return rows


def folder_row(
    what: str, folder: Path, expected: int | None, fetch: str | None, key: str, suffixes: tuple[str, ...] = ()
) -> Finding:
    """Check that ``folder`` has the expected number of files, counting only ``suffixes`` if there are any."""
    fix = fetch or f"Put the files there, or set data.root or {key} to their folder."
    if not folder.exists():
        return missing(what, f"{folder} does not exist", fix)
    try:
        found = sum(name.lower().endswith(suffixes or "") for name in files_below(folder, what))
    except ScasegError as error:
        return missing(what, error.message, fix)
    if expected is not None and found < expected:
        return missing(what, f"{folder}: {found:,} of {expected:,} files", fix)
    if not found:
        return missing(what, f"{folder} is empty", fix)
    return ready(what, f"{folder}: {found:,} files")


def annotation_finding(part: str, path: Path) -> tuple[Finding, int | None]:
    """The row of the annotation file, and its number of annotated images; None if that is unknown."""
    what = f"{part} annotations"
    fix = fetch_annotations(path) or f"Put the panoptic JSON there, or set data.root or data.{part}.annotations."
    if not path.is_file():
        return missing(what, f"{path} does not exist", fix), None
    try:
        seen = scan_annotations(path)
    except OSError as error:
        return missing(what, f"{path} cannot be read: {error.strerror}", fix), None
    if seen.problem is not None:
        return missing(what, f"{path} {seen.problem}", f"Delete it, then {fix}"), None
    counts = f"{path}: {seen.annotations:,} images, {len(seen.category_names)} categories"
    published = published_count(path)
    if published is not None and (seen.annotations, len(seen.category_names)) != (published, NUM_CLASSES):
        found = f"{counts}; COCO's original has {published:,} images and {NUM_CLASSES} categories"
        return warning(what, found, f"If it should be COCO's original, delete it, then {fix}"), seen.annotations
    return ready(what, counts), seen.annotations


def split_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check that the unseen names can be read and are classes of the data."""
    names = unseen_names(recipe.split.unseen)
    known = _class_names(recipe, data_root(recipe, run))
    if not known:
        return [ready("unseen classes", f"{len(names)}; `scaseg split-dataset` compares them with the data's classes")]
    find_unseen(recipe.split.unseen, names, [Category(place, name, False) for place, name in enumerate(known)])
    return [ready("unseen classes", f"{len(names)} of {len(known)} classes")]


def _class_names(recipe: Recipe, root: Path) -> tuple[str, ...]:
    """The names of the data's classes; empty if they are unknown before the split."""
    if recipe.data.categories is not None:
        return tuple(category.name for category in read_class_list(root, recipe.data.categories))
    path = root / (recipe.data.train.annotations or "")
    return scan_annotations(path).category_names if path.is_file() else ()


def num_training_images(recipe: Recipe, run: RunDir) -> int:
    """An upper bound for the number of training images; 0 if it is unknown."""
    if recipe.data.shapes is not None:
        return recipe.data.shapes.num_train
    root, where = data_root(recipe, run), recipe.data.train
    annotations = root / where.annotations if where.annotations is not None else None
    if annotations is not None and annotations.is_file():
        return scan_annotations(annotations).annotations
    images = root / where.images
    return published_count(annotations or images) or (len(files_below(images, "images")) if images.is_dir() else 0)
