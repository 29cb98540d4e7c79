"""`scaseg report`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import Options, with_options
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import remove_unfinished

if TYPE_CHECKING:
    from scaseg_cli.comparison.finished_run import FinishedRun
    from scaseg_cli.html_report.make import PageOutcome


@with_options
def report(
    options: Options,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN", show_default=False,
            help="Run folders, each with a finished evaluation, or folders of seeds. Default: the recipe's.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False,
            help="The HTML file. Default: report.html in the run folder or, for several runs, in this folder. "
            "An older file is replaced.",
        ),
    ] = None,
    images: Annotated[
        int,
        typer.Option(
            "--images", metavar="N", min=0,
            help="Maximum number of validation images that the network segments again, for confusions and embeddings. "
            "0: none, and the page omits both.",
        ),
    ] = 400,
) -> None:  # fmt: skip
    """Write one self-contained HTML page on finished runs, which opens without a network.

    It shows the result tables, bars by class, confusions of unseen classes, curves of losses and of the fine-tuning, a
    map of real and generated query embeddings, a few images, the ablations in the run folder, and how the run was made.
    Several runs are compared with the first one, separately for each task; runs of one recipe with several seeds, such
    as those of `scaseg run --seeds`, are shown with their means. Sections that a run cannot show, for example
    because its weights are missing, are left out, and the page says so.

    Each folder RUN is reported by the recipe in it.

    Reads the run folders and, for confusions and embeddings, the weights and validation images; their results are kept
    in report/ of the run folder for the next report. Writes the page.

    Example: `scaseg report`

    Example: `scaseg report runs/shapes-zps runs/seed-1 -o report.html`

    Example: `scaseg report runs/shapes-zps/seeds --images 0 --json`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import quiet
    from scaseg_cli.html_report.make import make_report

    with stdout_as_stderr(), quiet(options.debug), ExitStack() as held:
        finished = _named(runs, options) if runs else [_of_recipe(options)]
        path = output if output is not None else _place(runs or [], finished)
        for run in finished:
            remove_unfinished(run.run.path)
        if images:
            _hold(held, finished)
        replaces = path.is_file()
        outcome = make_report(finished, path, images)
    if options.json:
        print_json(outcome.as_json_value())
    _tell(outcome, replaces)


def _named(folders: list[Path], options: Options) -> list[FinishedRun]:
    """The runs in ``folders``, each with its own recipe."""
    from scaseg_cli.comparison.seed_runs import open_seed_runs

    for name, value in (("--recipe", options.recipe), ("--work-dir", options.work_dir)):
        if value is not None:
            raise ScasegError(f"{name} {value} and {folders[0]} both say which run it is", f"Leave out {name}.")
    found = [run for group in open_seed_runs(folders, options.assignments) for run in group.runs.values()]
    for run in found:
        if options.assignments and not run.is_own:
            raise ScasegError(
                f"{run.run.path} was not evaluated with {' '.join(options.assignments)}",
                "Set only keys that do not change the result, such as --gpus 0.",
            )
    return found


def _of_recipe(options: Options) -> FinishedRun:
    """The run of the recipe, as in other commands."""
    from scaseg_cli.cli.running import load_own
    from scaseg_cli.comparison.finished_run import open_run

    recipe, run = load_own(options)
    finished = open_run(run.path.resolve().name, run.path, recipe)
    if not finished.is_own:
        raise ScasegError(
            f"{run.path / 'evaluation'} was made by another recipe",
            f"Run `scaseg report {run.path}` to report it as it is, or `scaseg run` to run this recipe.",
        )
    return finished


def _place(folders: list[Path], finished: list[FinishedRun]) -> Path:
    """The page's file in the folder of a single run, or of a single recipe's seeds; else in the current folder."""
    if len(finished) == 1:
        return finished[0].run.report_file
    return folders[0] / "report.html" if len(folders) == 1 else Path("report.html")


def _hold(held: ExitStack, finished: list[FinishedRun]) -> None:
    """Lock the run folders that can be written."""
    import os

    from scaseg_cli.cli.running import occupied

    for run in finished:
        if os.access(run.run.path, os.W_OK):
            held.enter_context(occupied(run.run))


def _tell(outcome: PageOutcome, replaces: bool) -> None:
    """Print on stderr what was written and what was left out."""
    from scaseg_cli.cli.running import shortened
    from scaseg_cli.results.console import say_plainly

    for content in outcome.contents:
        for section, reason in content.left_out.items():
            say_plainly(f"{content.finished.label}: without {section}: {reason}")
    size = outcome.path.stat().st_size / 1e6
    older = ", in place of an older file" if replaces else ""
    say_plainly(f"wrote {shortened([outcome.path])[0]} ({size:.1f} MB){older}")
