"""How every stage command runs: what can be checked is checked first, then the work, then its result is shown."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaseg_cli.cli.options import LauncherOption, NodeOptions, Options, StageOptions, arguments, without_launcher
from scaseg_cli.cli.output import print_json, stdout_as_stderr
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.launch import Node
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir

Work = Callable[["Recipe", "RunDir"], "StageReport"]


def run_stage(options: StageOptions, stage: str, work: Work, extra: Callable[[], dict[str, Any]] | None = None) -> None:
    """Carry out ``work`` for ``stage`` and show its report, or hand the command in as a job and say so.

    Args:
        options: what the person gave.
        stage: the first stage that the command works on; what it needs must have finished.
        work: takes the recipe and the run folder.
        extra: with ``--json``, called after the work for more keys of the document.

    Raises:
        ScasegError: before anything is written, where the recipe, an earlier stage, the machine or the run folder
            is not right; later, whatever the work raises.
    """
    from scaseg_cli.launch import as_node

    recipe, run = load(options)
    if options.launcher is not LauncherOption.HERE:
        with stdout_as_stderr():
            _check_needs(recipe, run, stage)
            report = _submitted(options, recipe, run)
        show(report, options, {})
        return
    node = _node(options, recipe)
    with stdout_as_stderr(), quiet(options.debug), as_node(node):
        _check_devices(recipe)
        _check_needs(recipe, run, stage)
        with occupied(run) if node.rank == 0 else contextlib.nullcontext(), logged(run, node):
            report = work(recipe, run)
    show(report, options, extra() if extra is not None else {})


def _node(options: StageOptions, recipe: Recipe) -> Node:
    from scaseg_cli.launch import Node, choose_node

    if not isinstance(options, NodeOptions):
        return Node()
    return choose_node(recipe, options.node_rank, options.rendezvous, options.timeout)


def _submitted(options: StageOptions, recipe: Recipe, run: RunDir) -> StageReport:
    """The command as a job: the same words but for the launcher."""
    from scaseg_cli.launch.jobs import submit
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.results.table import Column, Table

    words = without_launcher(arguments.get())
    nodes = 1
    if isinstance(options, NodeOptions):
        nodes = recipe.nodes
        if options.node_rank is not None or options.rendezvous is not None:
            raise ScasegError("a job knows its nodes", "Leave --node-rank and --rendezvous out.")
    job = submit(recipe, run, words, options.launcher.value, nodes)
    row = {"launcher": options.launcher.value, "job": job.name, "log": str(job.log)}
    table = Table("job", [Column(name, name, "text") for name in row], [row], [])
    return StageReport("job", [table], [], "scaseg status", row)


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
            f"the run folder {run.path} cannot be written: {error.strerror}", "Choose another with --work-dir."
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
def logged(run: RunDir, node: Node | None = None) -> Iterator[None]:
    """What is said while the block runs goes to the run folder's log too, headed by the command.

    Each further node has a log of its own: a shared file system may lose lines of two that write to one file.
    """
    import shlex

    from scaseg_cli.results.console import logging_to, say_to_log

    log_file = run.log_file if node is None or node.rank == 0 else run.log_file.with_stem(f"log-node{node.rank}")
    with logging_to(log_file):
        say_to_log(f"$ scaseg {shlex.join(arguments.get())}")
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


def next_command(report: StageReport, options: Options) -> str | None:
    """The command that comes next, for the same run."""
    if report.next_command is None:
        return None
    command = report.next_command.removeprefix("scaseg ")
    return f"scaseg {command} {options.as_arguments()}".rstrip()


def show(report: StageReport, options: Options, extra: dict[str, Any]) -> None:
    """The report on stdout, as tables or as one JSON document; on stderr, what was written and what comes next."""
    from scaseg_cli.results.console import print_table, say_plainly

    report = dataclasses.replace(report, next_command=next_command(report, options))
    if options.json:
        print_json(report.as_json_value() | extra)
    else:
        for table in report.tables:
            print_table(table)
    verb = "wrote" if report.summary.get("ran", True) else "there already:"
    for path in shortened(report.wrote):
        say_plainly(f"{verb} {path}")
    if report.next_command is not None:
        say_plainly(f"next: {report.next_command}")


def shortened(paths: Iterable[Path]) -> list[str]:
    """Paths from here where they lie below this folder."""
    here = Path.cwd()
    return [str(path.relative_to(here)) if path.is_relative_to(here) else str(path) for path in paths]
