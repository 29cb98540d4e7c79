"""Checks of the recipe's images and labels: folders, counts, annotation files, and the unseen names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaseg_cli.data.class_lists import read_class_list
from scaseg_cli.data.folders import data_root, files_below
from scaseg_cli.data.map_pairs import pair_files
from scaseg_cli.data.records import Category
from scaseg_cli.doctor.annotation_scan import scan_annotations
from scaseg_cli.doctor.finding import Finding, missing, ready, warning
from scaseg_cli.doctor.published import Published
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.hidden_names import hidden_by_seen, note_of
from scaseg_cli.split.unseen import find_unseen, unseen_names
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.data_section import ImageSet
    from scaseg_cli.recipe.schema import Recipe
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
            rows += check(part, root, where, Published(recipe, root))
    return rows


def panoptic_findings(part: str, root: Path, where: ImageSet, known: Published) -> list[Finding]:
    """Check the images, annotation file and panoptic PNGs of one set."""
    assert where.annotations is not None
    annotations, expected = annotation_finding(part, root, where.annotations, known)
    images, labels = root / where.images, root / where.labels
    if expected is None:
        expected = known.count(where.annotations)
    fetch_images, fetch_labels = known.fetch(where.images, "images"), known.fetch(where.labels, "panoptic PNGs")
    return [
        folder_row(f"{part} images", images, expected, fetch_images, f"data.{part}.images"),
        annotations,
        folder_row(f"{part} labels", labels, expected, fetch_labels, f"data.{part}.labels", (".png",)),
    ]


def label_map_findings(part: str, root: Path, where: ImageSet, known: Published) -> list[Finding]:
    """Check the images and label maps of one set, whose names must match."""
    images, labels = root / where.images, root / where.labels
    fetch_labels = known.fetch(where.labels, "label maps")
    rows = [
        folder_row(
            f"{part} images", images, known.count(where.images), known.fetch(where.images, "images"),
            f"data.{part}.images",
        ),
        folder_row(f"{part} labels", labels, None, fetch_labels, f"data.{part}.labels"),
    ]  # fmt: skip
    if any(finding.state == "missing" for finding in rows):
        return rows
    try:
        pairs = pair_files(root, where)
    except ScasegError as error:
        is_list = where.list is not None and not (root / where.list).is_file()
        fix = known.fetch(where.list, "list") if is_list and where.list is not None else fetch_labels
        return [rows[0], missing(f"{part} labels", error.message, fix or error.hint or "")]
    suffix = where.label_suffix or ("_labelTrainIds.png" if pairs.are_train_ids else ".png")
    found = f"{labels}: {len(pairs.pairs):,} label maps, NAME{suffix}"
    if pairs.unlabelled:
        found += f"; {len(pairs.unlabelled):,} of {len(pairs.unlabelled) + len(pairs.pairs):,} images have none"
        rows[1] = warning(
            f"{part} labels", found, f"Images without a label map are left out; data.{part}.list names some."
        )
    else:
        rows[1] = ready(f"{part} labels", found)
    published = known.count(where.list or where.images)
    if published is not None and len(pairs.pairs) < published:
        fix = fetch_labels or "Add the missing label maps."
        rows[1] = warning(f"{part} labels", f"{found}; {published:,} are published", fix)
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


def annotation_finding(part: str, root: Path, name: str, known: Published) -> tuple[Finding, int | None]:
    """The row of the annotation file, and its number of annotated images; None if that is unknown."""
    what, path = f"{part} annotations", root / name
    fix = known.fetch(name, "annotations")
    fix = fix or f"Put the panoptic JSON there, or set data.root or data.{part}.annotations."
    if not path.is_file():
        return missing(what, f"{path} does not exist", fix), None
    try:
        seen = scan_annotations(path)
    except OSError as error:
        return missing(what, f"{path} cannot be read: {error.strerror}", fix), None
    if seen.problem is not None:
        return missing(what, f"{path} {seen.problem}", f"Delete it, then {fix}"), None
    counts = f"{path}: {seen.annotations:,} images, {len(seen.category_names)} categories"
    original = known.original(name)
    if original is not None and (seen.annotations, len(seen.category_names)) != original[1:]:
        title, images, classes = original
        found = f"{counts}; {title}'s original has {images:,} images and {classes} categories"
        return warning(what, found, f"If it should be {title}'s original, delete it, then {fix}"), seen.annotations
    return ready(what, counts), seen.annotations


def split_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check that the unseen names can be read and are classes of the data."""
    names = unseen_names(recipe.split.unseen)
    known = class_names(recipe, run)
    if not known:
        return [ready("unseen classes", f"{len(names)}; `scaseg split-dataset` compares them with the data's classes")]
    unseen = find_unseen(recipe.split.unseen, names, [Category(place, name, False) for place, name in enumerate(known)])
    hidden = hidden_by_seen([name for name in known if name not in unseen], unseen, recipe.data.names)
    if hidden:
        fix = "Move both classes to one side of the split, or rename one."
        return [warning("unseen classes", f"{len(names)} of {len(known)} classes. {note_of(hidden)}", fix)]
    return [ready("unseen classes", f"{len(names)} of {len(known)} classes")]


def class_names(recipe: Recipe, run: RunDir) -> tuple[str, ...]:
    """The names of the data's classes; empty if they are unknown before the split."""
    root = data_root(recipe, run)
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
    published = Published(recipe, root).count(where.annotations or where.list or where.images)
    return published or (len(files_below(images, "images")) if images.is_dir() else 0)
