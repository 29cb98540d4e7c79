"""Several runs side by side: main rows and classes, with differences to the first run of each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.measures.measure import LETTERS
from scaseg_cli.measures.result_table import MAIN
from scaseg_cli.results.table import Column, Table
from scaseg_cli.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.html_report.finished_run import FinishedRun

_TITLES = {"pq": "PQ", "iou": "IoU"}


@dataclass(frozen=True)
class Comparison:
    """The comparison of the runs of one task.

    Attributes:
        task: the task's title.
        main: one row per setting and run.
        by_class: main measure of each class, one column per run; None if the runs differ in their classes.
    """

    task: str
    main: Table
    by_class: Table | None

    def as_json_value(self) -> dict[str, Any]:
        """Return both tables for JSON."""
        by_class = self.by_class.as_json_value() if self.by_class is not None else None
        return {"task": self.task, "main": self.main.as_json_value(), "by_class": by_class}


def compare(runs: Sequence[FinishedRun]) -> list[Comparison]:
    """Compare the runs of each task that at least two of ``runs`` have."""
    found = []
    for task in TASKS.values():
        own = [run for run in runs if run.task == task]
        if len(own) > 1:
            found.append(Comparison(task.title, _main(own), _by_class(own)))
    return found


def _main(runs: list[FinishedRun]) -> Table:
    title = _TITLES[runs[0].task.measure]
    keys = runs[0].figure_keys
    table = Table(f"Main rows: {title}", _main_columns(runs[0], title), [], _notes(runs))
    for setting in MAIN:
        rows = [(run.label, run.main_rows[setting]) for run in runs if setting in run.main_rows]
        first = rows[0][1] if rows else {}
        for label, row in rows:
            figures = {key: row[key] for key in ("model", "increment", *keys.values())}
            change = None if row is first else _difference(row[keys["harmonic"]], first[keys["harmonic"]])
            table.rows.append({"setting": setting, "run": label, **figures, "change": change})
        if rows:
            table.rows[-1]["_section"] = True
    return table


def _main_columns(run: FinishedRun, title: str) -> list[Column]:
    return [
        Column("setting", "Setting"), Column("run", "Run"), Column("model", "Model"),
        Column("increment", "Increment", "number"),
        *(Column(run.figure_keys[group], f"{letter}{title}", "percent") for group, letter in LETTERS.items()),
        Column("change", f"h{title} change", "points"),
    ]  # fmt: skip


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _notes(runs: list[FinishedRun]) -> list[str]:
    notes = [f"Change: in points, against the first run of the setting ({runs[0].label}, if it has the setting)."]
    keys = {run.label: run.records.get("split", {}).get("key") for run in runs}
    others = [label for label, key in keys.items() if key != keys[runs[0].label]]
    if others:
        notes.append(
            f"Not scored on the same images and classes as {runs[0].label}, or not known to be: {', '.join(others)}. "
            "Do not compare the figures of these runs."
        )
    return notes


def _by_class(runs: list[FinishedRun]) -> Table | None:
    """The table of each run's last main row by class."""
    measure = runs[0].task.measure
    classes = [(row["class"], row["seen"]) for row in runs[0].per_class.rows]
    if any([(row["class"], row["seen"]) for row in run.per_class.rows] != classes for run in runs[1:]):
        return None
    columns = [Column("class", "Class"), Column("seen", "Seen", "flag")]
    columns += [Column(f"run-{place}", run.label, "percent") for place, run in enumerate(runs, start=1)]
    if len(runs) == 2:
        columns.append(Column("change", "Change", "points"))
    rows = []
    for place, (name, seen) in enumerate(classes):
        values = [run.per_class.rows[place][measure] for run in runs]
        row = {"class": name, "seen": seen, **{f"run-{n}": value for n, value in enumerate(values, start=1)}}
        rows.append(row | ({"change": _difference(values[1], values[0])} if len(runs) == 2 else {}))
    rows.sort(key=lambda row: row["seen"])
    which = ", ".join(f"{run.label}: {run.per_class.title.partition(':')[0]}" for run in runs)
    return Table(f"{_TITLES[measure]} by class", columns, rows, [which + "."])
