"""Runs side by side: main rows and classes, with differences to the first run of each task, paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.comparison.spread import change_of, mean_of, spread_of
from scaseg_cli.measures.measure import LETTERS, TITLES
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.table import Column, Table, write
from scaseg_cli.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.comparison.seed_runs import SeedRuns

_LEAST = 0.0005  # half of the last digit shown (0.1 %); a smaller difference counts as none


@dataclass(frozen=True)
class Comparison:
    """The comparison of the runs of one task.

    Attributes:
        task: the task's title.
        name: the task's name.
        main: one row per setting and run.
        by_class: main measure of each class, one column per run; None if the runs differ in their classes.
    """

    task: str
    name: str
    main: Table
    by_class: Table | None

    def tables(self, by_class: bool = True) -> list[Table]:
        """Return the main table and, on request, the table by class if there is one."""
        return [self.main, self.by_class] if by_class and self.by_class is not None else [self.main]

    def as_json_value(self, by_class: bool = True) -> dict[str, Any]:
        """Return the tables for JSON."""
        found: dict[str, Any] = {"task": self.task, "main": self.main.as_json_value()}
        if by_class:
            found["by_class"] = self.by_class.as_json_value() if self.by_class is not None else None
        return found


def compare(runs: Sequence[SeedRuns]) -> list[Comparison]:
    """Compare the runs of each task that at least two of ``runs`` have."""
    found = []
    for task in TASKS.values():
        own = [run for run in runs if run.task == task]
        if len(own) > 1:
            found.append(Comparison(task.title, task.name, _main(own), _by_class(own)))
    return found


def write_comparisons(comparisons: Sequence[Comparison], folder: Path, by_class: bool) -> list[Path]:
    """Write the tables as compare.* and compare-by-class.* into ``folder``, with the task's name if there are two.

    Raises:
        ScasegError: the folder cannot be written.
    """
    wrote: list[Path] = []
    for one in comparisons:
        stem = "compare" if len(comparisons) == 1 else f"compare-{one.name}"
        for name, table in zip((stem, f"{stem}-by-class"), one.tables(by_class), strict=False):
            wrote += write(table, folder, name)
    return wrote


def _main(runs: list[SeedRuns]) -> Table:
    title = TITLES[runs[0].task.measure]
    several = _have_several(runs)
    table = Table(f"Main rows: {title}", _main_columns(runs[0], title, several), [], _notes(runs))
    for setting in MAIN:
        there = [run for run in runs if any(setting in one.main_rows for one in run.runs.values())]
        for run in there:
            table.rows.append(_main_row(run, there[0], setting, several))
        if there:
            table.rows[-1]["_section"] = True
    return table


def _main_row(run: SeedRuns, first: SeedRuns, setting: str, several: bool) -> dict[str, Any]:
    rows = [one.main_rows[setting] for one in run.runs.values() if setting in one.main_rows]
    increments = {row["increment"] for row in rows}
    cells: dict[str, Any] = {
        "setting": setting,
        "run": run.label,
        "model": rows[0]["model"],
        "increment": increments.pop() if len(increments) == 1 else None,
    }
    if several:
        cells["seeds"] = _seeds(run)
    for group, key in run.first.figure_keys.items():
        values = run.main_figures(setting, group)
        cells |= {key: mean_of(list(values.values())), f"{key}_spread": spread_of(list(values.values()))}
        cells[_change(group)] = None
        if run is not first:
            change = change_of(values, first.main_figures(setting, group))
            cells |= {_change(group): change.mean, f"{_change(group)}_spread": change.spread}
            if several and group == "harmonic":
                cells["higher"] = _higher(change.by_seed)
    return cells


def _change(group: str) -> str:
    return "change" if group == "harmonic" else f"{group}_change"


def _higher(by_seed: dict[int, float]) -> str | None:
    """How many of the paired seeds are higher, by more than the table's last digit."""
    return f"{sum(value > _LEAST for value in by_seed.values())} of {len(by_seed)}" if by_seed else None


def _main_columns(run: SeedRuns, title: str, several: bool) -> list[Column]:
    keys = run.first.figure_keys
    columns = [Column("setting", "Setting"), Column("run", "Run"), Column("model", "Model")]
    columns += [Column("seeds", "Seeds")] if several else []
    columns.append(Column("increment", "Increment", "number", is_detail=several))
    columns += [
        Column(keys[group], f"{letter}{title}", "percent", spread=f"{keys[group]}_spread")
        for group, letter in LETTERS.items()
    ]
    columns += [
        Column(
            _change(group), f"{letter}{title} change", "points", is_detail=group != "harmonic",
            spread=f"{_change(group)}_spread",
        )
        for group, letter in LETTERS.items()
    ]  # fmt: skip
    return columns + ([Column("higher", "Seeds higher")] if several else [])


def _have_several(runs: Sequence[SeedRuns]) -> bool:
    return any(len(run.runs) > 1 for run in runs)


def _seeds(run: SeedRuns) -> str:
    return ", ".join(map(str, run.runs))


def _notes(runs: list[SeedRuns]) -> list[str]:
    first = runs[0]
    notes = [f"Change: in points, against the first run of the setting ({first.label}, if it has the setting)."]
    if _have_several(runs):
        notes[0] += (
            " Figures are means over the seeds, and changes are means of the differences by seed; ± is the sample "
            "standard deviation of either."
        )
        for run in runs[1:]:
            common = [seed for seed in run.runs if seed in first.runs]
            if not common:
                notes.append(f"{run.label} and {first.label} have no seed in common: the change is that of the means.")
            elif len(common) < max(len(run.runs), len(first.runs)):
                listed = ", ".join(map(str, common))
                notes.append(f"{run.label} and {first.label} are paired over the seeds that both have: {listed}.")
    if others := [run.label for run in runs if not _scored_alike(run, first)]:
        notes.append(
            f"Not scored on the same images and classes as {first.label}, or not known to be: {', '.join(others)}. "
            "Do not compare the figures of these runs."
        )
    return notes


def _scored_alike(run: SeedRuns, first: SeedRuns) -> bool:
    key = first.first.records.get("split", {}).get("key")
    return all(one.records.get("split", {}).get("key") == key for one in run.runs.values())


def _by_class(runs: list[SeedRuns]) -> Table | None:
    """The table of each run's last main row by class."""
    measure = runs[0].task.measure
    classes = [(row["class"], row["seen"]) for row in runs[0].first.per_class.rows]
    for run in runs:
        for one in run.runs.values():
            if [(row["class"], row["seen"]) for row in one.per_class.rows] != classes:
                return None
    columns = [Column("class", "Class"), Column("seen", "Seen", "flag")]
    columns += [
        Column(f"run-{place}", run.label, "percent", spread=f"run-{place}_spread")
        for place, run in enumerate(runs, start=1)
    ]
    changes = {place: "change" if len(runs) == 2 else f"change-{place}" for place in range(2, len(runs) + 1)}
    for place, key in changes.items():
        title = "Change" if len(runs) == 2 else f"Change: {runs[place - 1].label}"
        columns.append(Column(key, title, "points", spread=f"{key}_spread"))
    rows = []
    for place, (name, seen) in enumerate(classes):
        row: dict[str, Any] = {"class": name, "seen": seen}
        for n, run in enumerate(runs, start=1):
            values = run.class_figures(place)
            row |= {f"run-{n}": mean_of(list(values.values())), f"run-{n}_spread": spread_of(list(values.values()))}
            if n > 1:
                change = change_of(values, runs[0].class_figures(place))
                row |= {changes[n]: change.mean, f"{changes[n]}_spread": change.spread}
        rows.append(row)
    rows.sort(key=lambda row: row["seen"])
    which = ", ".join(f"{run.label}: {run.first.per_class.title.partition(':')[0]}" for run in runs)
    notes = [f"{which}. ± is the sample standard deviation." if _have_several(runs) else f"{which}."]
    return Table(f"{TITLES[measure]} by class", columns, rows, notes)
