"""A finished run as a report reads it: its tables, its records, and whether what lies in the folder belongs together.

Only files are read, no weights and no images, so that a run whose weights are gone can be reported.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file
from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.recipe import load_recipe
from scaseg_cli.results.table import Table, read_table
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import stage_key, stages_for
from scaseg_cli.tasks import Task, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class FinishedRun:
    """One run.

    Attributes:
        label: unlike that of any other run of the report.
        recipe: what made it.
        run: its folder.
        results: the result table.
        row_names: of its rows, as in the evaluation's record.
        per_class: the table by class of the last main row.
        records: by stage, of those whose results the evaluation was made from.
        doubts: by stage, why what lies in the folder is not what the evaluation was made from.
        is_own: whether the recipe is the one that the evaluation was made with.
    """

    label: str
    recipe: Recipe
    run: RunDir
    results: Table
    row_names: tuple[str, ...]
    per_class: Table
    records: dict[str, dict[str, Any]]
    doubts: dict[str, str]
    is_own: bool

    @property
    def task(self) -> Task:
        """Its task."""
        return task_of(self.recipe)

    @property
    def main_rows(self) -> dict[str, dict[str, Any]]:
        """The rows of the result table that stand for the settings, by name."""
        named = zip(self.row_names, self.results.rows, strict=True)
        return {name: row for name, row in named if name in MAIN}

    @property
    def figure_keys(self) -> dict[str, str]:
        """By group of classes, the key of the main measure in the result table: "hpq" of "harmonic"."""
        return {group: f"{letter}{self.task.measure}" for group, letter in LETTERS.items()}

    @property
    def evaluation_key(self) -> str:
        """What the evaluation's result depends on."""
        return str(self.records["evaluation"]["key"])


def recipe_of(folder: Path, changes: Sequence[str] = ()) -> Recipe:
    """The recipe that a run folder was made with, with ``changes`` as `--set` makes them.

    Raises:
        ScasegError: it is no run folder, or its recipe has mistakes.
    """
    path = RunDir(folder).recipe_file
    if not path.is_file():
        why = "has no recipe.yaml" if folder.is_dir() else "is not there"
        raise ScasegError(
            f"{folder} is no run folder: it {why}", "A run folder is what `scaseg run` writes, such as runs/shapes-zps."
        )
    return load_recipe(str(path), tuple(changes))


def open_run(label: str, folder: Path, recipe: Recipe) -> FinishedRun:
    """Read what the evaluation left in ``folder``.

    Raises:
        ScasegError: there is no finished evaluation, or its tables are gone or changed.
    """
    run = RunDir(folder)
    again = f"scaseg evaluate -r {shlex.quote(str(run.recipe_file))} -w {shlex.quote(str(folder))}"
    record = run.record("evaluation")
    if record is None:
        raise ScasegError(f"{folder} has no finished evaluation", f"Run `{again}` first.")
    for path in (run.results_file, run.per_class_file):
        output = record["outputs"].get(str(path.relative_to(folder)))
        if output is None or not path.is_file() or hash_file(path) != output["sha256"]:
            raise ScasegError(f"{path} is gone, or not what the evaluation wrote", f"Run `{again}` again.")
    records, doubts = _chain(recipe, run, record)
    names = tuple(record["summary"])
    return FinishedRun(
        label, recipe, run, read_table(run.results_file), names, read_table(run.per_class_file), records, doubts,
        is_own=record["key"] == stage_key(recipe, "evaluation"),
    )  # fmt: skip


def _chain(recipe: Recipe, run: RunDir, evaluation: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The records of the stages that led to the evaluation, and why of the others it cannot be said that they did."""
    records, doubts = {"evaluation": evaluation}, dict[str, str]()
    stages = [stage for stage in stages_for(recipe) if recipe.data.shapes is not None or stage != "data"]
    for stage in reversed(stages):
        for need, key in records.get(stage, {}).get("needs", {}).items():
            found = run.record(need)
            if found is not None and found["key"] == key:
                records[need] = found
            elif need in stages:
                what = "is gone" if found is None else "was made anew after what the evaluation was made from"
                doubts[need] = f"the {need} stage {what}"
    reason = next(iter(doubts.values()), "no record leads there")
    return records, {stage: doubts.get(stage, reason) for stage in stages if stage not in records}


def labels_of(folders: Sequence[Path]) -> list[str]:
    """A short name of each run: its folder's, or the whole path where two would have one name.

    Raises:
        ScasegError: a folder is named twice.
    """
    whole = [folder.resolve() for folder in folders]
    for place, path in enumerate(whole):
        if path in whole[:place]:
            raise ScasegError(f"{folders[place]} is named twice", "Name each run once.")
    names = [path.name for path in whole]
    if len(set(names)) == len(names):
        return names
    return [str(folder) for folder in folders]
