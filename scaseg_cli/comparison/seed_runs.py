"""The runs of one recipe with several seeds: their folder, and tables of the mean, the spread and each seed.

`scaseg run --seeds 0,1` leaves them below the run folder:

    runs/shapes-zps/seeds/0/            a run folder
    runs/shapes-zps/seeds/1/            another
    runs/shapes-zps/seeds/results.*     the table of all
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.comparison.finished_run import FinishedRun, labels_of, open_run
from scaseg_cli.comparison.spread import mean_of, spread_of
from scaseg_cli.errors import ScasegError
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.recipe import recipe_of
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.results.table import Column, Table, write
from scaseg_cli.stages import recipe_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir
    from scaseg_cli.tasks import Task

MEAN = "mean"
_SEED = ", seed "  # between the name of a folder of seeds and the seed
_MEAN_NOTE = (
    "Mean: of the seeds, of each figure by itself, so the harmonic mean of the mean figures differs slightly from the "
    "mean of the harmonic means; ± is the sample standard deviation."
)


@dataclass(frozen=True)
class SeedRuns:
    """Finished runs of one recipe that differ in their seed alone; often it is one run.

    Attributes:
        label: the name in tables.
        runs: the runs by seed, in ascending order.
    """

    label: str
    runs: dict[int, FinishedRun]

    @property
    def first(self) -> FinishedRun:
        """The run with the lowest seed."""
        return next(iter(self.runs.values()))

    @property
    def task(self) -> Task:
        """The recipe's task."""
        return self.first.task

    def main_figures(self, setting: str, group: str) -> dict[int, float]:
        """Return the main measure of a setting's main row over a group of classes, by seed."""
        values = {
            seed: run.main_rows[setting][run.figure_keys[group]]
            for seed, run in self.runs.items()
            if setting in run.main_rows
        }
        return {seed: value for seed, value in values.items() if value is not None}

    def class_figures(self, place: int) -> dict[int, float]:
        """Return the main measure of the class in row ``place`` of the tables by class, by seed."""
        values = {seed: run.per_class.rows[place][run.task.measure] for seed, run in self.runs.items()}
        return {seed: value for seed, value in values.items() if value is not None}


def alone(run: FinishedRun) -> SeedRuns:
    """Return a single run as a group of one seed."""
    return SeedRuns(run.label, {run.recipe.seed: run})


def seed_folders(folder: Path) -> dict[int, Path]:
    """Return the run folders in ``folder`` that are named after their seed, by seed in ascending order."""
    found = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return {int(path.name): path for path in sorted(found, key=lambda path: int(path.name)) if path.is_dir()}


def open_seed_runs(folders: Sequence[Path], changes: Sequence[str] = ()) -> list[SeedRuns]:
    """Open the runs in ``folders``, each a run folder or a folder of seeds, with the recipes in them.

    Args:
        folders: run folders, or folders with one run folder for each seed.
        changes: assignments as for `--set`, applied to every recipe.

    Raises:
        ScasegError: a folder is neither, is given twice, has no finished evaluation, or its seeds have different
            recipes.
    """
    found = []
    for label, folder in zip(labels_of(folders), folders, strict=True):
        by_seed = {} if (folder / "recipe.yaml").is_file() else seed_folders(folder)
        if not by_seed:
            found.append(alone(open_run(label, folder, recipe_of(folder, changes))))
            continue
        runs = {
            seed: open_run(f"{label}{_SEED}{seed}", path, recipe_of(path, changes)) for seed, path in by_seed.items()
        }
        group = SeedRuns(label, runs)
        _check_same_recipe(group, folder)
        found.append(group)
    return found


def _check_same_recipe(group: SeedRuns, folder: Path) -> None:
    for seed, run in group.runs.items():
        if run.recipe.seed != seed:
            raise ScasegError(
                f"{run.run.path} has seed {run.recipe.seed} in its recipe, not the seed of its name",
                "Rename the folder to its seed, or name run folders one by one.",
            )
        if not differ_in_seed_alone(run, group.first):
            raise ScasegError(
                f"{run.run.path} was made by another recipe than {group.first.run.path}",
                f"Run `scaseg run --seeds {','.join(map(str, group.runs))}` with one recipe, or remove one of them "
                f"from {folder}.",
            )


def differ_in_seed_alone(one: FinishedRun, other: FinishedRun) -> bool:
    """Whether two runs have the same recipe, their seed apart, as far as the recipe changes results."""
    return key_without_seed(one.recipe) == key_without_seed(other.recipe)


def by_recipe(runs: Sequence[FinishedRun]) -> list[SeedRuns]:
    """Put runs that differ in their seed alone into one group each; a seed that comes again begins another group."""
    groups: list[list[FinishedRun]] = []
    for run in runs:
        for group in groups:
            if differ_in_seed_alone(run, group[0]) and run.recipe.seed not in {one.recipe.seed for one in group}:
                group.append(run)
                break
        else:
            groups.append([run])
    return [
        SeedRuns(_label_of(group), {run.recipe.seed: run for run in sorted(group, key=lambda run: run.recipe.seed)})
        for group in groups
    ]


def _label_of(group: list[FinishedRun]) -> str:
    """The name of the folder of seeds that the runs are in, or else the name of each."""
    folders = {run.label.rpartition(_SEED)[0] for run in group}
    return folders.pop() if len(folders) == 1 and "" not in folders else ", ".join(run.label for run in group)


def key_without_seed(recipe: Recipe) -> str:
    """Return the hash of a recipe as far as it changes results, its seed apart."""
    return recipe_key(recipe.model_copy(update={"seed": 0}), "evaluation")


def open_seeds(recipes: Mapping[int, Recipe], folders: Mapping[int, RunDir]) -> SeedRuns:
    """Open the finished runs of ``recipes`` in ``folders``, both by seed."""
    seeds = sorted(recipes)
    return SeedRuns(
        recipes[seeds[0]].name, {seed: open_run(f"seed {seed}", folders[seed].path, recipes[seed]) for seed in seeds}
    )


def seed_table(group: SeedRuns) -> Table:
    """Make the result table of several seeds: for each row one line per seed, then their mean and spread.

    Raises:
        ScasegError: the evaluations have different rows.
    """
    names = group.first.row_names
    for run in group.runs.values():
        if run.row_names != names:
            raise ScasegError(
                f"the result tables of {run.run.path} and {group.first.run.path} have different rows",
                "Run `scaseg run` with the same recipe in both.",
            )
    columns = _with_spread(group.first.results.columns)
    columns.insert(2, Column("seed", "seed"))
    table = Table(f"{group.first.results.title}, seeds {_listed(group)}", columns, [], [_MEAN_NOTE])
    table.notes += group.first.results.notes[:1]
    for place, name in enumerate(names):
        rows = {seed: run.results.rows[place] for seed, run in group.runs.items()}
        table.rows += [{**row, "seed": str(seed)} for seed, row in rows.items()]
        style = {"_style": "bold"} if name in MAIN else {}
        section = {"_section": True} if place + 1 < len(names) else {}
        table.rows.append({**_mean_row(list(rows.values()), columns), "seed": MEAN, **style, **section})
    return table


def class_means(group: SeedRuns) -> Table:
    """Make the table by class with the mean and the spread over the seeds."""
    tables = [run.per_class for run in group.runs.values()]
    classes = [(row["class"], row["seen"]) for row in tables[0].rows]
    if any([(row["class"], row["seen"]) for row in table.rows] != classes for table in tables[1:]):
        raise ScasegError(
            f"the seeds of {group.label} differ in their classes", "Run `scaseg run` with the same recipe in both."
        )
    columns = [column for column in tables[0].columns if column.kind in ("text", "flag", "percent")]
    table = Table(f"{tables[0].title}, mean of seeds {_listed(group)}", _with_spread(columns), [], [])
    table.notes.append("± is the sample standard deviation over the seeds that have a value.")
    for rows in zip(*(table.rows for table in tables), strict=True):
        table.rows.append(_mean_row(rows, table.columns))
    return table


def summary_of(group: SeedRuns) -> dict[str, Any]:
    """Return mean and spread of each row of the result table for a record, by row, group of classes and measure."""
    summaries = {seed: run.records["evaluation"]["summary"] for seed, run in group.runs.items()}
    first = next(iter(summaries.values()))
    found: dict[str, Any] = {"seeds": list(summaries)}
    for word, function in (("mean", mean_of), ("spread", spread_of)):
        found[word] = {
            row: {
                classes: {
                    measure: function([s[row][classes][measure] for s in summaries.values()])
                    if None not in [s[row][classes][measure] for s in summaries.values()]
                    else None
                    for measure in measures
                }
                for classes, measures in groups.items()
            }
            for row, groups in first.items()
        }
    return found


def _listed(group: SeedRuns) -> str:
    return ", ".join(map(str, group.runs))


def _with_spread(columns: Sequence[Column]) -> list[Column]:
    return [
        Column(column.key, column.title, column.kind, column.is_detail, f"{column.key}_spread")
        if column.kind == "percent"
        else column
        for column in columns
    ]


def _mean_row(rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> dict[str, Any]:
    """The mean and spread of the columns with a spread; of another column, the value if all rows have the same."""
    found: dict[str, Any] = {}
    for column in columns:
        values = [row.get(column.key) for row in rows]
        if column.spread is not None:
            numbers = [value for value in values if value is not None]
            found |= {column.key: mean_of(numbers), column.spread: spread_of(numbers)}
        elif len(set(values)) == 1:
            found[column.key] = values[0]
    return found


def report_seeds(group: SeedRuns, run: RunDir) -> StageReport:
    """Write the tables of several seeds into the run folder that has them, and report them."""
    tables = {"results": seed_table(group), "per-class": class_means(group)}
    wrote = [path for stem, table in tables.items() for path in write(table, run.seeds, stem)]
    following = f"scaseg report {shlex.quote(str(run.seeds))}"
    return StageReport("seeds", [tables["results"]], wrote, following, summary_of(group))
