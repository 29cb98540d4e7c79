"""Finished stages that run folders share through hard links, without training again and without a second copy."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from scaseg_cli.files import is_unfinished
from scaseg_cli.stages import bring_back, is_done, stages_for
from scaseg_cli.stages.kept import make_place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def take_over(recipe: Recipe, run: RunDir, donors: Iterable[RunDir]) -> list[str]:
    """Link the stages that ``run`` lacks and that another run folder has finished with the same key.

    Args:
        recipe: the recipe of ``run``.
        run: the run folder to complete.
        donors: other run folders, the preferred one first.

    Returns:
        The names of the stages that were linked, in order.
    """
    donors, taken = list(donors), []
    for stage in stages_for(recipe):
        if is_done(recipe, run, stage) or bring_back(recipe, run, stage):
            continue
        donor = next((other for other in donors if is_done(recipe, other, stage)), None)
        if donor is not None:
            run.check_links(stage)
            link_stage(stage, donor, run)
            taken.append(stage)
    return taken


def link_stage(stage: str, donor: RunDir, run: RunDir) -> None:
    """Hard-link a finished stage of ``donor`` into ``run``, the record last, without a second copy on the disk.

    Stages replace their recorded outputs and never write them in place, so a later run in one folder leaves the other's
    files unchanged. The ``data`` stage records no outputs, so all files of its folder are linked. What else a stage
    leaves, such as its curves, is written in place, so it is copied. A result of another key in ``run`` is kept.
    """
    source, target = donor.path / stage, run.path / stage
    record = donor.record_file(stage)
    files = [path for path in source.rglob("*") if path.is_file() and path != record]
    outputs = [donor.path / name for name in (donor.record(stage) or {})["outputs"]] or files
    others = [path for path in files if path not in set(outputs) and not _is_progress(path.name)]
    make_place(run, stage, (donor.record(stage) or {})["key"])
    shutil.rmtree(target, ignore_errors=True)  # an unfinished one of this key
    for path in (*others, *outputs, record):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path in others:
            shutil.copy2(path, place)
            continue
        try:
            os.link(path, place)
        except OSError:  # a file system without hard links
            shutil.copy2(path, place)


def link_folder(place: Path, target: Path) -> None:
    """Create a relative link to a folder, so that the run folder can be moved as a whole."""
    wanted = os.path.relpath(target, place.parent)
    if place.is_symlink() and os.readlink(place) == wanted:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    place.symlink_to(wanted)


def _is_progress(name: str) -> bool:
    """Whether a file belongs to a stage in its midst."""
    return name.endswith(".pt") or name == "workers.log" or is_unfinished(name)
