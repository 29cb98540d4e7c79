"""Locates the data and checks that the files of a set exist."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.errors import DOCTOR, ScasegError

if TYPE_CHECKING:
    from collections.abc import Collection

    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def data_root(recipe: Recipe, run: RunDir) -> Path:
    """The folder that the recipe's image sets are relative to; the embedded world is in the run folder."""
    return Path(recipe.data.root) if recipe.data.root is not None else run.path / "data"


def check_files(labelled: LabelledSet) -> None:
    """Check that every image and every label PNG of the set exists.

    Folders are listed once: querying each of COCO's 236,574 files would take minutes on a network disk.

    Raises:
        ScasegError: a folder or files are missing; names the first few and counts the rest.
    """
    images = [record.file_name for record in labelled.images]
    _check_folder(labelled.images_dir, images, "images")
    labels = [record.label_name for record in labelled.images]
    _check_folder(labelled.labels_dir, labels, "panoptic PNGs" if labelled.map_values is None else "label maps")


def _check_folder(folder: Path, names: Collection[str], what: str) -> None:
    by_parent: dict[str, set[str]] = defaultdict(set)
    plain = {name for name in names if "/" not in name}  # all of COCO's names
    if plain:
        by_parent[""] = plain
    for name in names:
        if "/" in name:
            parent, _, last = name.rpartition("/")
            by_parent[parent].add(last)
    mistakes = Mistakes(f"the folder of {what} {folder}")
    for parent, wanted in by_parent.items():
        place = folder / parent
        for name in sorted(wanted - names_in_folder(place, what)):
            mistakes.add(f"{(place / name).relative_to(folder)} does not exist")
    mistakes.stop_if_any(
        f"Check `images` and `labels` under `data` in the recipe, and that all files were downloaded. {DOCTOR}"
    )


def files_below(folder: Path, what: str, without: Path | None = None) -> list[str]:
    """Paths of all files in ``folder`` and its subfolders, relative to it with "/" between folders, in order.

    Files and subfolders whose names begin with a dot are left out. Links to folders are followed, each folder once.

    Args:
        folder: the folder.
        what: the contents, for the error message ("images").
        without: a subfolder to leave out, if any.

    Raises:
        ScasegError: the folder does not exist or cannot be read.
    """
    found: list[str] = []
    passed = {folder.resolve()} | ({without.resolve()} if without is not None else set())
    for place, subfolders, names in os.walk(folder, onerror=partial(_unreadable, folder, what), followlinks=True):
        below = Path(place).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        found += [prefix + name for name in names if not name.startswith(".")]
        for name in list(subfolders):
            target = Path(place, name).resolve()
            if name.startswith(".") or target in passed:
                subfolders.remove(name)
            passed.add(target)
    return sorted(found)


def names_in_folder(folder: Path, what: str) -> set[str]:
    """Names of all entries of ``folder``. Asking for the kind of each would take three times as long.

    Args:
        folder: the folder; it is listed once.
        what: the contents, for the error message ("images").

    Raises:
        ScasegError: the folder does not exist or cannot be read.
    """
    try:
        return set(os.listdir(folder))
    except OSError as error:
        _unreadable(folder, what, error)


def _unreadable(folder: Path, what: str, error: OSError) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise ScasegError(
            f"the folder of {what} {folder} does not exist",
            f"Check `images` and `labels` under `data` in the recipe. {DOCTOR}",
        ) from error
    raise ScasegError(f"the folder of {what} {folder} cannot be read: {error.strerror}") from error
