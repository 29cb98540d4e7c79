"""A finished run as a report reads it: its tables, its records, and whether the files of the folder belong together.

This module reads neither weights nor images, so a run whose weights were deleted can still be reported.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file
from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.table import Table, read_table
from scaseg_cli.run_dir import SEEDS, RunDir
from scaseg_cli.stages import has_lists_of, stage_key, stages_for
from scaseg_cli.tasks import Task, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class FinishedRun:
    """A run with a finished evaluation.

    Attributes:
        label: the run's unique name in the report.
        recipe: the recipe.
        run: the run folder.
        results: the result table.
        row_names: names of its rows, as in the evaluation's record.
        per_class: the table by class of the last main row.
        records: records, by stage, of the results that the evaluation was made from.
        doubts: for each other stage, the reason why the folder's result is not the one that the evaluation used.
        is_own: whether the evaluation was made with this recipe, and with what the split has written now.
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
        """The recipe's task."""
        return task_of(self.recipe)

    @property
    def main_rows(self) -> dict[str, dict[str, Any]]:
        """The main row of each setting in the result table, by name."""
        named = zip(self.row_names, self.results.rows, strict=True)
        return {name: row for name, row in named if name in MAIN}

    @property
    def figure_keys(self) -> dict[str, str]:
        """The key of the main measure in the result table for each group of classes: "hpq" for "harmonic"."""
        return {group: f"{letter}{self.task.measure}" for group, letter in LETTERS.items()}

    @property
    def evaluation_key(self) -> str:
        """The key of the evaluation: a hash of everything that its result depends on."""
        return str(self.records["evaluation"]["key"])


def open_run(label: str, folder: Path, recipe: Recipe) -> FinishedRun:
    """Read the tables and records of a finished evaluation in ``folder``.

    Raises:
        ScasegError: there is no finished evaluation, or its tables are missing or were changed.
    """
    run = RunDir(folder)
    again = f"scaseg evaluate -r {shlex.quote(str(run.recipe_file))} -w {shlex.quote(str(folder))}"
    record = run.record("evaluation")
    if record is None:
        if not run.recipe_file.is_file():
            again = f"scaseg run -w {shlex.quote(str(folder))}"
        raise ScasegError(f"{folder} has no finished evaluation", f"Run `{again}` first.")
    for path in (run.results_file, run.per_class_file):
        output = record["outputs"].get(str(path.relative_to(folder)))
        if output is None or not path.is_file() or hash_file(path) != output["sha256"]:
            raise ScasegError(f"{path} is missing, or not what the evaluation wrote", f"Run `{again}` again.")
    records, doubts = _chain(recipe, run, record)
    names = tuple(record["summary"])
    finished = FinishedRun(
        label, recipe, run, read_table(run.results_file), names, read_table(run.per_class_file), records, doubts,
        is_own=record["key"] == stage_key(recipe, run, "evaluation"),
    )  # fmt: skip
    _check_tables(finished, f"Run `{again}` again.")
    return finished


def _check_tables(finished: FinishedRun, again: str) -> None:
    """Check that both tables have the columns of an evaluation, and the result table the rows of its record."""
    run, figures = finished.run, finished.figure_keys.values()
    wanted = (
        (run.results_file, finished.results, {"setting", "model", "increment", *figures}),
        (run.per_class_file, finished.per_class, {"class", "seen", finished.task.measure}),
    )
    for path, table, keys in wanted:
        if lacking := keys - {column.key for column in table.columns}:
            raise ScasegError(f"{path} lacks the columns {', '.join(sorted(lacking))}", again)
    if len(finished.row_names) != len(finished.results.rows):
        raise ScasegError(f"{run.results_file} does not have the rows of {run.record_file('evaluation')}", again)
    if not all(type(row["class"]) is str and type(row["seen"]) is bool for row in finished.per_class.rows):
        raise ScasegError(f"{run.per_class_file} has a row without a class, or that is neither seen nor unseen", again)


def _chain(recipe: Recipe, run: RunDir, evaluation: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The records of the stages that the evaluation was made from, and for each other stage the reason for doubt."""
    records, doubts = {"evaluation": evaluation}, dict[str, str]()
    stages = [stage for stage in stages_for(recipe) if recipe.data.shapes is not None or stage != "data"]
    for stage in reversed(stages):
        record = records.get(stage, {})
        needs = dict(record.get("needs", {}))
        if stage != "split" and "lists" in record:
            needs.setdefault("split", None)
        for need, key in needs.items():
            try:
                found = run.record(need)
            except ScasegError as error:
                doubts[need] = error.message
                continue
            if found is not None and (found["key"] == key or (need == "split" and has_lists_of(record, found))):
                records[need] = found
            elif need in stages:
                what = "is missing" if found is None else "was run again after the evaluation"
                doubts[need] = f"the {need} stage {what}"
    for stage in doubts:
        records.pop(stage, None)
    reason = next(iter(doubts.values()), "no record names it")
    return records, {stage: doubts.get(stage, reason) for stage in stages if stage not in records}


def labels_of(folders: Sequence[Path]) -> list[str]:
    """Return a short name for each run: the folder's name, or the whole paths if two names are equal.

    A folder of seeds has the name of its run, and a run in it the name of its seed.

    Raises:
        ScasegError: a folder is given twice.
    """
    whole = [folder.resolve() for folder in folders]
    for place, path in enumerate(whole):
        if path in whole[:place]:
            raise ScasegError(f"{folders[place]} is given twice", "Name each run once.")
    names = [_name_of(path) for path in whole]
    if len(set(names)) == len(names):
        return names
    return [str(folder) for folder in folders]


def _name_of(folder: Path) -> str:
    if folder.name == SEEDS:
        return folder.parent.name
    return f"seed {folder.name}" if folder.parent.name == SEEDS and folder.name.isdecimal() else folder.name
