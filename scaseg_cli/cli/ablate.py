"""`scaseg ablate`."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli import completion
from scaseg_cli.cli.options import LauncherOption, Options, parsed_seeds, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.ablations.ablate import AblateReport
    from scaseg_cli.ablations.cells import Ablation
    from scaseg_cli.ablations.jobs.launcher import JobLauncher
    from scaseg_cli.ablations.plan import Plan
    from scaseg_cli.recipe.schema import Recipe

SOME_FAILED = 3  # exit code if some cells failed and the others finished
_LIST = "list"


class SettingsOption(StrEnum):
    """The settings to report."""

    INDUCTIVE = "inductive"
    TRANSDUCTIVE = "transductive"
    BOTH = "both"


@with_options
def ablate(
    options: Options,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", autocompletion=completion.ablations,
            help="Ablations by name, or sweep files; `all`; or `list`, which only lists them.",
        ),
    ],
    values: Annotated[
        str | None,
        typer.Option(
            "--values", metavar="V,V...", show_default=False,
            help="Values, or labels of rows, instead of the sweep's. The recipe's own row is always included.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", metavar="N,N...", show_default=False,
            help="Seeds of every cell, for mean and spread. Default: the recipe's.",
        ),
    ] = None,
    setting: Annotated[
        SettingsOption, typer.Option("--setting", help="The settings to report.")
    ] = SettingsOption.BOTH,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which stages would run and which are shared, without writing.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", min=1, rich_help_panel="Machine", show_default=False,
            help="Stages to run at once, each in its own process with its own GPUs. Default: one here, no limit on a "
            "cluster.",
        ),
    ] = None,
    launcher: Annotated[
        LauncherOption,
        typer.Option(
            "--launcher", rich_help_panel="Machine",
            help="slurm: each stage is a job, see the recipe's slurm section; local: a job on this machine. The "
            "command waits for the jobs.",
        ),
    ] = LauncherOption.HERE,
) -> None:  # fmt: skip
    """Run the recipe with some keys varied, and show the results beside the published ones.

    Cells that need the same result of a stage share it, across ablations and with the run in the work folder. Cells
    with the same base model share one pass of the network over the validation images. Four of the paper's eight tables
    therefore need no training of the network after `scaseg run`. The same command again runs only what is missing.

    A failed cell is shown as failed, with its log; the others continue, and the exit code is 3. To define an ablation,
    write sweeps/NAME.yaml in this folder, or pass the path of any sweep file.

    Reads the recipe and the work folder. Writes ablations/NAME/ there: results as .json, .csv, .md and .tex, effects,
    compared in direction with the published ones, and the pictures plot.png and plot.svg.

    Example: `scaseg ablate list`

    Example: `scaseg ablate pseudo-unseen increment --seeds 0,1,2`

    Example: `scaseg ablate bank-size --values 16,64 --dry-run --json`
    """
    from scaseg_cli.ablations.ablate import plan_ablations
    from scaseg_cli.ablations.jobs.choose_launcher import choose_launcher
    from scaseg_cli.cli.running import load
    from scaseg_cli.run_dir import RunDir

    if options.seed is not None and seeds is not None:
        raise ScasegError("--seed and --seeds both set the seed", "Leave out --seed.")
    recipe, work = load(options)
    if _LIST in names:
        _print_list(recipe, options)
        return
    ablations = _ablations(names, recipe, values, seeds, setting)
    plan = plan_ablations(ablations, recipe, work)
    if dry_run:
        _print_plan(plan, options)
        return
    cluster = None if launcher is LauncherOption.HERE else launcher.value
    runner = choose_launcher(recipe, RunDir(plan.store.folder), cluster, jobs)
    report = _run_cells(ablations, plan, runner, options)
    _print_report(report, options)
    if report.num_failed:
        raise typer.Exit(SOME_FAILED)


def ablate_job(file: Annotated[Path, typer.Argument(metavar="FILE", help="The job's file.")]) -> None:
    """Run one job of `scaseg ablate`, which starts it in another process or on another machine."""
    from scaseg_cli.ablations.jobs.job_files import run_job, runs_of
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import occupied, quiet

    with stdout_as_stderr(), quiet(debug=False), ExitStack() as held:
        for run in runs_of(file):  # a job of an ended command may still be running
            held.enter_context(occupied(run))
        run_job(file)


def _ablations(
    names: Sequence[str], recipe: Recipe, values: str | None, seeds: str | None, setting: SettingsOption
) -> list[Ablation]:
    from scaseg_cli.ablations.ablate import make_ablations
    from scaseg_cli.ablations.cells import parse_values
    from scaseg_cli.tasks import SETTINGS

    return make_ablations(
        names,
        recipe,
        seeds=parsed_seeds(seeds) if seeds is not None else None,
        values=parse_values(values) if values is not None else None,
        settings=[one for one in SETTINGS if setting in (one, SettingsOption.BOTH)],
    )


def _run_cells(ablations: Sequence[Ablation], plan: Plan, launcher: JobLauncher, options: Options) -> AblateReport:
    from scaseg_cli.ablations.ablate import run_plan
    from scaseg_cli.cli.output import stdout_as_stderr
    from scaseg_cli.cli.running import logged, occupied, quiet
    from scaseg_cli.run_dir import RunDir

    folder = RunDir(plan.store.folder)
    with stdout_as_stderr(), quiet(options.debug), occupied(folder), logged(folder):
        return run_plan(ablations, plan, launcher)


def _print_list(recipe: Recipe, options: Options) -> None:
    from scaseg_cli.ablations.listing import list_table
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.results.console import print_table

    table = list_table(recipe)
    if options.json:
        print_json(table.as_json_value())
    else:
        print_table(table)


def _print_plan(plan: Plan, options: Options) -> None:
    from scaseg_cli.ablations.forecast import forecast_tables, forecast_value
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.results.console import print_table

    if options.json:
        print_json(forecast_value(plan))
        return
    for table in reversed(forecast_tables(plan)):
        print_table(table)


def _print_report(report: AblateReport, options: Options) -> None:
    """Print the tables or one JSON document on stdout, and on stderr what was written and shared."""
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.cli.running import shortened
    from scaseg_cli.results.console import print_table, say_plainly

    if options.json:
        print_json(report.as_json_value())
    for one in report.ablations:
        for table in [] if options.json else one.tables:
            print_table(table)
        stems = ", ".join(dict.fromkeys(path.stem for path in one.wrote))
        say_plainly(f"wrote {shortened([one.wrote[0].parent])[0]}: {stems}")
    counts = report.counts
    say_plainly(
        f"{counts['num_cells']} cells from {counts['num_stages']} stages, {counts['num_run']} of them run now; "
        f"a loop over the cells would run {counts['num_plain']}"
    )
    if report.num_failed == 1:
        say_plainly("1 cell failed; the same command tries it again")
    elif report.num_failed:
        say_plainly(f"{report.num_failed} cells failed; the same command tries them again")
