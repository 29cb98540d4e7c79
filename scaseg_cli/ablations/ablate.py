"""Ablations from their sweeps to their tables: plan the stages, run the missing ones, write the reports."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaseg_cli.ablations.ablation_table import result_table
from scaseg_cli.ablations.cells import Ablation, make_ablation
from scaseg_cli.ablations.effects import effects_table
from scaseg_cli.ablations.figures import Figures, read_figures
from scaseg_cli.ablations.find import find_sweep, sweep_files
from scaseg_cli.ablations.forecast import totals
from scaseg_cli.ablations.jobs.schedule import Schedule
from scaseg_cli.ablations.plan import Plan, make_plan
from scaseg_cli.ablations.plot import draw
from scaseg_cli.ablations.store import Store
from scaseg_cli.comparison.seed_runs import key_without_seed
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say_plainly
from scaseg_cli.results.table import Table, write
from scaseg_cli.stages import require
from scaseg_cli.tasks import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.ablations.jobs.launcher import JobLauncher
    from scaseg_cli.ablations.sweep import Sweep
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir

ALL = "all"


@dataclass(frozen=True)
class AblationReport:
    """The outcome of one ablation.

    Attributes:
        figures: its figures and failures.
        tables: the results, and the effects if there are any.
        wrote: paths of the files that were written.
    """

    figures: Figures
    tables: list[Table]
    wrote: list[Path]

    def as_json_value(self) -> dict[str, Any]:
        """Return the report for JSON."""
        ablation = self.figures.ablation
        cells = [
            {"row": label, "seed": seed, "folder": folder, "failed": (label, seed) in self.figures.failures}
            for (label, seed), folder in self.figures.folders.items()
        ]
        failures = [
            {"row": label, "seed": seed, "reason": failure.reason, "log": str(failure.log)}
            for (label, seed), failure in self.figures.failures.items()
        ]
        return {
            "name": ablation.name,
            "title": ablation.sweep.title,
            "varies": ablation.sweep.keys,
            "tables": [table.as_json_value() for table in self.tables],
            "cells": cells,
            "failures": failures,
            "wrote": [str(path) for path in self.wrote],
        }


@dataclass(frozen=True)
class AblateReport:
    """The outcome of the command.

    Attributes:
        ablations: one report for each ablation.
        counts: number of stages that are needed, were finished before, are shared, ran now, and that a plain loop
            would run; seconds of this command; number and seconds of all stages made here, now or earlier (``own``).
    """

    ablations: list[AblationReport] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def num_failed(self) -> int:
        """The number of cells without figures."""
        return sum(len(report.figures.failures) for report in self.ablations)

    def as_json_value(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "ablations": [report.as_json_value() for report in self.ablations],
            "num_failed": self.num_failed,
            **self.counts,
        }


def make_ablations(
    names: Sequence[str],
    recipe: Recipe,
    seeds: Sequence[int] | None = None,
    values: Sequence[Any] | None = None,
    settings: Sequence[Setting] = SETTINGS,
) -> list[Ablation]:
    """Create the ablations that ``names`` refer to.

    Args:
        names: names or files of sweeps; ``all`` means every sweep that is reported in ``settings``.
        recipe: the default row of each ablation.
        seeds: seeds of every row; None means the recipe's seed.
        values: replace the sweep's own values.
        settings: settings to report in.

    Raises:
        ScasegError: a name is unknown, a sweep has mistakes, or the recipe's schema refuses a cell.
    """
    sweeps = _sweeps(names, settings)
    if values is not None and len(sweeps) > 1:
        raise ScasegError(
            f"--values needs exactly one ablation, {len(sweeps)} are given", "Name one ablation, such as bank-size."
        )
    seeds = tuple(seeds) if seeds is not None else (recipe.seed,)
    return [make_ablation(name, sweep, recipe, seeds, values, settings) for name, sweep in sweeps.items()]


def _sweeps(names: Sequence[str], settings: Sequence[Setting]) -> dict[str, Sweep]:
    """The sweeps by name; of those that `ALL` adds, only the ones reported in ``settings``."""
    found: dict[str, Sweep] = {}
    for name in names:
        if name != ALL:
            own, sweep = find_sweep(name)
            if own in found and found[own] != sweep:
                raise ScasegError(f"two ablations are named {own!r}", "Rename one of the files.")
            found[own] = sweep
            continue
        every = (find_sweep(one) for one in sweep_files())
        found |= {own: sweep for own, sweep in every if own not in found and set(settings) & set(sweep.settings)}
    return found


def check_work(recipe: Recipe, work: RunDir) -> None:
    """Check that the base model in the work folder, if there is one, is this recipe's and undamaged.

    Raises:
        ScasegError: it was made by another recipe, or is damaged. Training a second one silently would be a surprise.
    """
    if work.record("base") is not None:
        require(recipe, work, "base")


def plan_ablations(ablations: Sequence[Ablation], recipe: Recipe, work: RunDir) -> Plan:
    """Plan the stages that the ablations need, with the state of each. Nothing is written.

    Raises:
        ScasegError: the work folder holds another recipe's base model.
    """
    check_work(recipe, work)
    return make_plan(ablations, Store(work))


def run_plan(ablations: Sequence[Ablation], plan: Plan, launcher: JobLauncher) -> AblateReport:
    """Run the missing stages, and write the tables and pictures.

    Raises:
        ScasegError: a folder cannot be written. The failure of a cell is only reported.
    """
    store, counts, started = plan.store, totals(plan), time.monotonic()
    store.prepare(plan.nodes, plan.states)
    schedule = Schedule(plan, launcher)
    failed = schedule.run()
    counts["num_run"] -= len(failed) + len(schedule.skipped)
    counts["seconds"] = round(time.monotonic() - started, 2)
    own = [node for node in plan.nodes.values() if node.id not in failed and store.is_own(node)]
    records = [store.run(node).record(node.stage) or {} for node in own]
    counts |= {"num_own": len(own), "seconds_own": round(sum(record["seconds"] for record in records), 2)}
    return AblateReport([_report(read_figures(ablation, plan, failed), store) for ablation in ablations], counts)


def _report(figures: Figures, store: Store) -> AblationReport:
    folder = store.folder / figures.ablation.name
    for path in [*folder.glob("effects.*"), *folder.glob("plot.*")]:  # from an earlier command with other rows
        path.unlink()
    tables = [dataclasses.replace(result_table(figures), key=key_without_seed(figures.ablation.recipe))]
    wrote = write(tables[0], folder, "results")
    effects = effects_table(figures)
    if effects is not None:
        tables.append(effects)
        wrote += write(effects, folder, "effects")
    if figures.values:
        wrote += draw(figures, folder)
    else:
        say_plainly(f"{figures.ablation.name}: no plot, since no cell has figures")
    return AblationReport(figures, tables, wrote)
