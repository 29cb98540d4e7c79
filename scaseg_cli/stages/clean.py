"""The kept results of a run folder as a table, and those of them that no recipe in the folder points to."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import recipe_of
from scaseg_cli.results.table import Column, Table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages.kept import FOLDER
from scaseg_cli.stages.keys import sections_of
from scaseg_cli.stages.outlook import day, not_this_recipes
from scaseg_cli.stages.reasons import in_brief, other_values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.stages.kept import Kept

_INNER = ("seeds/*", "ablations/stages/*")  # run folders in a run folder
_A_DAY = 86_400.0  # seconds
_SHOWN_DIGITS = 8


def no_longer_used(recipe: Recipe, run: RunDir, older_than: float = 0.0) -> list[Kept]:
    """The kept results that no recipe points to, in the run folder, its seeds, and the stages of its ablations.

    Args:
        recipe: the run folder's recipe; each folder of a seed or of an ablation's stage has its own.
        run: the run folder.
        older_than: only those that were last written more than so many days ago.
    """
    found = not_this_recipes(recipe, run)
    inner = [path for pattern in _INNER for path in sorted(run.path.glob(f"{pattern}/{FOLDER}"))]
    for other in (RunDir(path.parent) for path in inner):
        try:
            found += not_this_recipes(recipe_of(other.path), other)
        except ScasegError:  # nothing in it can be told apart
            continue
    latest = time.time() - older_than * _A_DAY
    return [kept for kept in found if kept.modified <= latest]


def kept_table(title: str, recipe: Recipe, run: RunDir, results: Iterable[Kept]) -> Table:
    """Table of kept results: what each is, how its recipe differs, when it was last written, and its size."""
    rows: list[dict[str, Any]] = [
        {
            "stage": kept.stage,
            "key": kept.key[:_SHOWN_DIGITS],
            "state": kept.state,
            "differs": _difference(recipe, kept),
            "date": day(kept.modified),
            "seconds": kept.record["seconds"] if kept.record is not None else None,
            "bytes": kept.num_bytes,
            "size": in_units(kept.num_bytes),
            "folder": str(kept.folder.relative_to(run.path)),
        }
        for kept in results
    ]
    columns = [
        Column("stage", "stage"),
        Column("key", "key"),
        Column("state", "state"),
        Column("differs", "differs"),
        Column("date", "last written"),
        Column("seconds", "seconds", "number"),
        Column("size", "size"),
        Column("bytes", "bytes", "count", is_detail=True),
        Column("folder", "folder", is_detail=True),
    ]
    return Table(title, columns, rows)


def _difference(recipe: Recipe, kept: Kept) -> str:
    """How the recipe of a kept result differs from ``recipe``, in words."""
    if kept.damage is not None:
        return kept.damage
    if kept.recipe is None:
        return "an older version made it"
    return in_brief(other_values(kept.recipe, sections_of(recipe, kept.stage))) or "an earlier stage is another"


def remove(results: Iterable[Kept]) -> int:
    """Remove kept results; returns the bytes that they took.

    Raises:
        ScasegError: one cannot be removed.
    """
    freed = 0
    for kept in results:
        size = kept.num_bytes
        try:
            shutil.rmtree(kept.folder)
        except OSError as error:
            raise ScasegError(
                f"{kept.folder} cannot be removed: {error.strerror}", "Check its permissions, and try again."
            ) from error
        freed += size
        _remove_empty(kept.folder.parent)
    return freed


def _remove_empty(folder: Path) -> None:
    for place in (folder, folder.parent):
        if not any(place.iterdir()):
            place.rmdir()


def in_units(num_bytes: int) -> str:
    """A size such as 1.2 GB or 340 kB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes} bytes"
