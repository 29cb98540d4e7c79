"""How every stage command runs: what can be checked is checked first, then the work, then its result is shown."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.cli.options import Options
from scaseg_cli.cli.output import print_json, stdout_as_stderr
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.report import Report
    from scaseg_cli.run_dir import RunDir

Work = Callable[["Recipe", "RunDir"], "Report"]


def run_stage(options: Options, stage: str, work: Work, extra: Callable[[], dict[str, Any]] | None = None) -> None:
    """Carry out ``work`` for ``stage`` and show its report.

    Args:
        options: what the person gave.
        stage: the first stage that the command works on; what it needs must have finished.
        work: takes the recipe and the run folder.
        extra: with ``--json``, called after the work for more keys of the document.

    Raises:
        ScasegError: before anything is written, where the recipe, an earlier stage, the machine or the run folder
            is not right; later, whatever the work raises.
    """
    recipe, run = load(options)
    with stdout_as_stderr(), quiet(options.debug):
        _check_devices(recipe)
        _check_needs(recipe, run, stage)
        with occupied(run), _logged(run):
            report = work(recipe, run)
    show(report, options, extra() if extra is not None else {})


def load(options: Options) -> tuple[Recipe, RunDir]:
    """The recipe and the run folder that ``options`` mean; nothing is written."""
    from scaseg_cli.recipe import load_recipe
    from scaseg_cli.run_dir import RunDir

    recipe = load_recipe(options.recipe, options.assignments)
    return recipe, RunDir(options.work_dir if options.work_dir is not None else recipe.folder)


def _check_devices(recipe: Recipe) -> None:
    if recipe.gpus:  # the CPU is there, and torch need not be loaded to know
        from scaseg_cli.base.device import check_devices

        check_devices(recipe)


def _check_needs(recipe: Recipe, run: RunDir, stage: str) -> None:
    """The same check as the stage's own, before the run folder is touched."""
    from scaseg_cli.stages import needs_of, require

    if stage not in ("data", "split"):
        require(recipe, run, *needs_of(recipe, stage))


@contextlib.contextmanager
def occupied(run: RunDir) -> Iterator[None]:
    """Keep other commands out of the run folder while the block runs. The lock ends with the process, however it ends.

    Raises:
        ScasegError: the folder cannot be written, or another command is at work in it.
    """
    path = run.path / ".lock"
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  # closed below
    except OSError as error:
        raise ScasegError(
            f"the work folder {run.path} cannot be written: {error.strerror}", "Choose another with --work-dir."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ScasegError(
                f"another scaseg command (process {file.read().strip() or 'unknown'}) is at work in {run.path}",
                "Wait until it has ended, or choose another folder with --work-dir.",
            ) from None
        except OSError:
            pass  # a file system without locks: nothing keeps two commands apart there
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextlib.contextmanager
def _logged(run: RunDir) -> Iterator[None]:
    """What is said while the block runs goes to the run folder's log too, headed by the command."""
    import shlex

    from scaseg_cli.results.console import logging_to, say_to_log

    with logging_to(run.log_file):
        say_to_log(f"$ scaseg {shlex.join(sys.argv[1:])}")
        try:
            yield
        except ScasegError as error:
            say_to_log(f"error: {error}")
            raise


@contextlib.contextmanager
def quiet(debug: bool) -> Iterator[None]:
    """Without --debug, what libraries warn their callers of is not the person's to read."""
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        yield


def next_command(report: Report, options: Options) -> str | None:
    """The command that comes next, for the same run."""
    if report.next_command is None:
        return None
    command = report.next_command.removeprefix("scaseg ")
    return f"scaseg {command} {options.as_arguments()}".rstrip()


def show(report: Report, options: Options, extra: dict[str, Any]) -> None:
    """The report on stdout, as tables or as one JSON document; on stderr, what was written and what comes next."""
    from scaseg_cli.results.console import print_table, say_plainly

    report = dataclasses.replace(report, next_command=next_command(report, options))
    if options.json:
        print_json(report.as_json_value() | extra)
    else:
        for table in report.tables:
            print_table(table)
    verb = "wrote" if report.summary.get("ran", True) else "there already:"
    for path in _shortened(report.wrote):
        say_plainly(f"{verb} {path}")
    if report.next_command is not None:
        say_plainly(f"next: {report.next_command}")


def _shortened(paths: list[Path]) -> list[str]:
    """Paths from here where they lie below this folder."""
    here = Path.cwd()
    return [str(path.relative_to(here)) if path.is_relative_to(here) else str(path) for path in paths]
