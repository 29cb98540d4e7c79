"""Checks that no image is in two parts of the data."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations
from typing import TYPE_CHECKING

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.folders import data_root, files_below
from scaseg_cli.data.located import with_located_images
from scaseg_cli.data.map_pairs import pair_files
from scaseg_cli.doctor.finding import Finding, ready, warning
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.lists import PARTS
from scaseg_cli.split.same_images import same_files, sizes_of

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.data_section import ImageSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def leak_findings(recipe: Recipe, run: RunDir) -> list[Finding]:
    """Check that no image is in two of the recipe's sets, also as a copy under another name."""
    if recipe.data.shapes is not None:
        return []
    root, files = data_root(recipe, run), dict[str, dict[str, int]]()
    for part in PARTS:
        where = getattr(recipe.data, part)
        if where is not None and (root / where.images).is_dir():
            with suppress(ScasegError):  # which the rows of the data report
                files[part] = sizes_of(_images(recipe, root, where))
    found = [
        (one, other, pairs)
        for one, other in combinations(files, 2)
        if getattr(recipe.data, one) != getattr(recipe.data, other) and (pairs := same_files(files[one], files[other]))
    ]
    if not found:
        return [ready("leaks", "no image is in two parts")] if len(files) > 1 else []
    said = "; ".join(
        f"images of {other} that are in {one} too: {len(pairs):,}, among them {pairs[0][1]}"
        for one, other, pairs in found
    )
    fix = "Remove them from one part; `scaseg split-dataset --json`, with this recipe, lists those that are used twice."
    return [warning("leaks", said, fix)]


def _images(recipe: Recipe, root: Path, where: ImageSet) -> list[str]:
    folder = (root / where.images).resolve()
    if recipe.data.categories is not None:
        return [f"{folder}/{pair.image}" for pair in pair_files(root, where).pairs]
    if _in_one_folder(recipe, root, where):  # then their annotation files tell them apart
        labelled = with_located_images(read_panoptic_set(root, where))
        return [f"{folder}/{record.file_name}" for record in labelled.images]
    return [f"{folder}/{name}" for name in files_below(folder, "images")]


def _in_one_folder(recipe: Recipe, root: Path, where: ImageSet) -> bool:
    """Whether another of the recipe's sets has its images in the same folder."""
    folder = (root / where.images).resolve()
    others = (part for name in PARTS if (part := getattr(recipe.data, name)) not in (None, where))
    return any((root / part.images).resolve() == folder for part in others)
