"""What brackets a stage's work: the check of what it needs, and the record of what it made.

A stage that begins moves the folder's result of another recipe aside; see `stages.kept`.
"""

from __future__ import annotations

import platform
import subprocess
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file, write_bytes
from scaseg_cli.recipe import save_recipe
from scaseg_cli.results.console import say_plainly
from scaseg_cli.stages.graph import STAGES, lists_read, needs_of
from scaseg_cli.stages.kept import all_kept, find_kept, make_place, undo
from scaseg_cli.stages.keys import hash_once, is_as_written, is_done, lists_of, outside_files, sections_of, stage_key
from scaseg_cli.stages.reasons import UNKNOWN, sections_then, what_changed, why_broken, why_other
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def require(recipe: Recipe, run: RunDir, *stages: str) -> None:
    """Check that ``stages`` have finished for this recipe.

    Raises:
        ScasegError: one has not run, was made by another recipe, or its files are missing or changed; names the
            command to run.
    """
    for stage in stages:
        command = f"Run `scaseg {STAGES[stage].command}` with this recipe first (`scaseg run` runs all in order)."
        record = run.record(stage)
        if record is None or record["key"] != stage_key(recipe, run, stage):
            kept = find_kept(run, stage, stage_key(recipe, run, stage))
            if kept is not None and kept.is_whole:
                raise ScasegError(
                    f"{run.path / stage} is not this recipe's: its result is kept in {kept.folder}",
                    "Run `scaseg run` with this recipe: it puts back what is kept.",
                )
        if record is None:
            raise ScasegError(f"{run.path} has no finished {stage} stage", command)
        if record["key"] != stage_key(recipe, run, stage):
            changed = what_changed(recipe, run, stage)
            if changed is not None:
                raise ScasegError(f"{run.path / stage} is out of date: {changed}", command)
            why = why_other(recipe, stage, record, lists_of(recipe, run), sections_then(run, stage, record))
            detail = f": {why}" if why != UNKNOWN else ""
            raise ScasegError(
                f"{run.path / stage} was made by another recipe{detail}",
                f"{command} Or choose another folder with --work-dir.",
            )
        for name, output in record["outputs"].items():
            path = run.path / name
            if not path.is_file():
                raise ScasegError(f"{path} is gone", command)
            if not is_as_written(path, output):
                raise ScasegError(f"{path} is not what the {stage} stage wrote: truncated or changed", command)


def versions() -> dict[str, str]:
    """Versions of Python, scaseg and the libraries that results depend on."""
    names = ("torch", "torchvision", "mmdet", "mmengine", "open_clip_torch", "numpy")
    found = {"scaseg": __version__, "python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def commit() -> str | None:
    """The commit of the checkout, or None if the package is installed without one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


class StageSummary(dict[str, Any]):
    """The values that a stage keeps in its record.

    Attributes:
        waited: seconds between the stage's start and end that were spent on other runs.
        lists: of the split: the digests of the lists that it wrote, by name.
    """

    waited: float = 0.0
    lists: dict[str, str] | None = None


def bring_back(recipe: Recipe, run: RunDir, *stages: str) -> list[str]:
    """Put the kept results of this recipe back in their places, and what is there aside. Returns the stages moved.

    The recipe becomes the run folder's own.

    Args:
        recipe: the recipe.
        run: the run folder, which no other command may use now.
        stages: in order, since the keys of later stages depend on the split.
    """
    moved = []
    for stage in stages:
        key = stage_key(recipe, run, stage)
        kept = find_kept(run, stage, key)
        if kept is not None and kept.is_whole and not is_done(recipe, run, stage):
            make_place(run, stage, key)
            save_recipe(recipe, run.recipe_file)
            moved.append(stage)
    return moved


@contextmanager
def recording(recipe: Recipe, run: RunDir, stage: str, *outputs: Path) -> Iterator[StageSummary]:
    """Run a stage; when the block succeeds, write its record with the hashes of ``outputs``.

    Yields a dict that the record keeps as the stage's summary. A result of another recipe is moved aside before the
    block runs, and one line says why. The older record of this recipe's result stays, since its hashes tell whether
    its files are still what it says; a record without files is removed. If the stage fails, the older result and recipe
    come back, and the stage's progress is kept in turn.
    """
    key = stage_key(recipe, run, stage)
    lists = lists_of(recipe, run) if lists_read(recipe, stage) else None
    _say_why(recipe, run, stage, key, lists)
    old_recipe = run.recipe_file.read_bytes() if run.recipe_file.is_file() else None
    aside = make_place(run, stage, key)
    run.folder(stage)
    old = run.record(stage)
    if old is not None and not old["outputs"]:
        run.record_file(stage).unlink()
    summary = StageSummary()
    started = time.monotonic()
    try:
        save_recipe(recipe, run.recipe_file)
        run.write_begun(stage, key, sections_of(recipe, stage))
        yield summary
    except BaseException:
        with suppress(ScasegError):  # the stage's own error says why
            _end_badly(recipe, run, stage, aside, old_recipe)
        raise
    if lists is not None:
        summary.lists = {name: lists[name] for name in lists_read(recipe, stage) if name in lists}
    run.write_record(
        stage,
        {
            "stage": stage,
            "key": key,
            "seed": recipe.seed,
            "gpus": recipe.gpus,
            "processes": recipe.processes,
            "nodes": recipe.nodes,
            "seconds": round(time.monotonic() - started - summary.waited, 2),
            "summary": summary,
            "needs": {need: (run.record(need) or {}).get("key") for need in needs_of(recipe, stage)},
            **({"lists": summary.lists} if summary.lists is not None else {}),
            "outputs": {
                str(path.relative_to(run.path)): {"sha256": hash_file(path), "bytes": path.stat().st_size}
                for path in outputs
            },
            "outside_files": {str(path): hash_once(path) for path in outside_files(recipe, stage)},
            "recipe": sections_of(recipe, stage),
            "versions": versions(),
            "commit": commit(),
        },
    )
    run.begun_file(stage).unlink(missing_ok=True)


def _say_why(recipe: Recipe, run: RunDir, stage: str, key: str, lists: Mapping[str, str] | None) -> None:
    """Say why a stage runs again; nothing if it never ran, or if its result is up to date."""
    older = run.record(stage)
    if older is not None and older["key"] == key:
        if not is_done(recipe, run, stage):
            say_plainly(f"{stage}: {why_broken(run, older)}")
        return
    if older is None:
        finished = [kept.record for kept in all_kept(run) if kept.stage == stage and kept.record is not None]
        older = finished[-1] if finished else None
    kept = find_kept(run, stage, key)
    if older is not None and (kept is None or kept.record is None):
        known = lists if lists is not None else lists_of(recipe, run)
        say_plainly(f"{stage}: {why_other(recipe, stage, older, known, sections_then(run, stage, older))}")


def _end_badly(recipe: Recipe, run: RunDir, stage: str, aside: Path | None, old_recipe: bytes | None) -> None:
    """Put back what was there before the stage failed; its progress is kept. A result that still holds stays."""
    own = run.record(stage)
    if own is not None:  # of this recipe, from before
        if not own["outputs"] or not is_done(recipe, run, stage):
            return
        run.begun_file(stage).unlink(missing_ok=True)
        if aside is not None:
            return  # the folder and its recipe are this recipe's now
    elif aside is None:
        return
    else:
        undo(run, stage, aside)
    if old_recipe is not None:
        write_bytes(run.recipe_file, old_recipe)
