"""`scaseg report`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaseg_cli.cli.options import Options, with_options
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.html_report.finished_run import FinishedRun
    from scaseg_cli.html_report.make import PageOutcome


@with_options
def report(
    options: Options,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN", show_default=False,
            help="Run folders, each with a finished evaluation. Without any: the recipe's.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False,
            help="The page. Without it: report.html in the run folder; of several runs, in this folder.",
        ),
    ] = None,
    images: Annotated[
        int,
        typer.Option(
            "--images", metavar="N", min=0,
            help="Validation images, at most, that the network looks at once more, for confusion and embeddings. "
            "0: none, and the page goes without both.",
        ),
    ] = 400,
) -> None:  # fmt: skip
    """Put finished runs on one HTML page, which needs no network when it is opened.

    It shows the result tables, bars by class, what unseen classes are taken for, curves of losses and of the
    fine-tuning, a map of real and generated query embeddings, the picture of a few images, the ablations that lie in
    the run folder, and what made the run. Several runs are compared with the first one, task by task. What a run
    cannot show, as where its weights are gone, is left out, and the page says so.

    A folder RUN is reported as it is, by the recipe in it.

    Reads the run folders; for confusion and embeddings the weights and the validation images too, once: what was seen
    is kept in report/ of the run folder. Writes the page in one piece.

    Example: `scaseg report`

    Example: `scaseg report runs/shapes-zps runs/seed-1 -o report.html`

    Example: `scaseg report runs/shapes-zps --images 0 --json`
    """
    from scaseg_cli.cli.output import print_json, stdout_as_stderr
    from scaseg_cli.cli.running import quiet
    from scaseg_cli.html_report.make import make_report

    with stdout_as_stderr(), quiet(options.debug), ExitStack() as held:
        finished = _named(runs, options) if runs else [_of_recipe(options)]
        path = output if output is not None else _place(finished)
        if images:
            _hold(held, finished)
        outcome = make_report(finished, path, images)
    if options.json:
        print_json(outcome.as_json_value())
    _tell(outcome)


def _named(folders: list[Path], options: Options) -> list[FinishedRun]:
    """The runs in ``folders``, each with the recipe that lies there."""
    from scaseg_cli.html_report.finished_run import labels_of, open_run, recipe_of

    for name, value in (("--recipe", options.recipe), ("--work-dir", options.work_dir)):
        if value is not None:
            raise ScasegError(f"{name} {value} and {folders[0]} both say which run it is", f"Leave {name} out.")
    labels = labels_of(folders)
    found = [
        open_run(label, folder, recipe_of(folder, options.assignments))
        for label, folder in zip(labels, folders, strict=True)
    ]
    for run in found:
        if options.assignments and not run.is_own:
            raise ScasegError(
                f"{run.run.path} was not evaluated with {' '.join(options.assignments)}",
                "Only what changes how a run computes can be set here, such as --gpus 0.",
            )
    return found


def _of_recipe(options: Options) -> FinishedRun:
    """The run of the recipe, as other commands take it."""
    from scaseg_cli.cli.running import load
    from scaseg_cli.html_report.finished_run import open_run

    recipe, run = load(options)
    finished = open_run(run.path.resolve().name, run.path, recipe)
    if not finished.is_own:
        raise ScasegError(
            f"{run.path / 'evaluation'} was made by another recipe than the one in use",
            f"`scaseg report {run.path}` reports it as it is. `scaseg run` with this recipe makes it anew.",
        )
    return finished


def _place(finished: list[FinishedRun]) -> Path:
    return finished[0].run.report_file if len(finished) == 1 else Path("report.html")


def _hold(held: ExitStack, finished: list[FinishedRun]) -> None:
    """Keep other commands out of the run folders, where these can be written."""
    import os

    from scaseg_cli.cli.running import occupied

    for run in finished:
        if os.access(run.run.path, os.W_OK):
            held.enter_context(occupied(run.run))


def _tell(outcome: PageOutcome) -> None:
    """On stderr, what was written and what is not in it."""
    from scaseg_cli.cli.running import shortened
    from scaseg_cli.results.console import say_plainly

    for content in outcome.contents:
        for section, reason in content.left_out.items():
            say_plainly(f"{content.finished.label}: without {section}: {reason}")
    size = outcome.path.stat().st_size / 1e6
    say_plainly(f"wrote {shortened([outcome.path])[0]} ({size:.1f} MB)")
