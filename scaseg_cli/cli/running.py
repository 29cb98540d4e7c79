"""How every stage command runs: first the checks, then the work, then the output of its result."""

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
from scaseg_cli.files import own_file, remove_unfinished

if TYPE_CHECKING:
    from scaseg_cli.launch import Node, OtherNode
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.run_dir import RunDir

_OWN = "scaseg evaluate"  # a next command that needs no option but the run folder
_ALL = "scaseg run"  # a next command with the run folder's own recipe
Work = Callable[["Recipe", "RunDir"], "StageReport"]


def run_stage(
    options: StageOptions,
    stage: str,
    work: Work,
    extra: Callable[[], dict[str, Any]] | None = None,
    loaded: Callable[[Options], tuple[Recipe, RunDir]] | None = None,
) -> None:
    """Run ``work`` for ``stage`` and show its report, or submit the command as a job and show the job.

    Args:
        options: the command's options.
        stage: the first stage that the command runs; the stages that it needs must have finished.
        work: takes the recipe and the run folder.
        extra: with ``--json``, called after the work for more keys of the document.
        loaded: returns the recipe and the run folder; None: `load`.

    Raises:
        ScasegError: before anything is written, if the recipe, an earlier stage, the machine or the run folder has a
            problem; later, any error of the work.
    """
    from scaseg_cli.launch import OtherNode, as_node, meeting

    recipe, run = (loaded or load)(options)
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
        held = occupied(run) if node.rank == 0 else contextlib.nullcontext()
        with held, logged(run, node), meeting(node, run.path, _says(recipe)) as met:
            if isinstance(met, OtherNode):
                report, extra = _helped(met, run, stage), None
            else:
                _put_back(recipe, run, stage)
                report = work(recipe, run)
    show(report, _of_next(report, options, run), extra() if extra else {})


def _says(recipe: Recipe) -> dict[str, str]:
    """What must be the same on all nodes."""
    from scaseg_cli.files import hash_value
    from scaseg_cli.stages import STAGES, recipe_key

    recipes = hash_value([recipe_key(recipe, stage) for stage in STAGES])
    return {"recipes": recipes, "numbers of processes": f"{recipe.gpus} {recipe.processes}"}


def _helped(met: OtherNode, run: RunDir, stage: str) -> StageReport:
    """Take part in node 0's command to its end. Node 0 writes the records and shows the tables."""
    from scaseg_cli.launch import help_first_node
    from scaseg_cli.results.console import say
    from scaseg_cli.results.stage_report import StageReport

    rank = met.node.rank
    say(f"node {rank} waits for what node 0 divides")
    tasks = help_first_node(met, run.path)
    say(f"node 0 has ended; node {rank} has nothing more to do")
    return StageReport(stage, summary={"node": rank, "stages": tasks})


def _of_next(report: StageReport, options: StageOptions, run: RunDir) -> StageOptions:
    """The options of the next command, which may take the run folder's own recipe."""
    if report.next_command == _ALL:  # the recipe there is not the one that the options name
        return type(options)(recipe=str(run.recipe_file), work_dir=run.path, json=options.json, debug=options.debug)
    if report.next_command != _OWN:
        return options
    place = None if options.recipe is None and options.work_dir is None else run.path
    return type(options)(work_dir=place, json=options.json, debug=options.debug)


def _node(options: StageOptions, recipe: Recipe) -> Node:
    from scaseg_cli.launch import Node, choose_node

    if not isinstance(options, NodeOptions):
        return Node()
    return choose_node(recipe, options.node_rank, options.rendezvous, options.timeout)


def _submitted(options: StageOptions, recipe: Recipe, run: RunDir) -> StageReport:
    """Submit the command, without --launcher, as a job."""
    from scaseg_cli.launch.jobs import submit
    from scaseg_cli.results.stage_report import StageReport
    from scaseg_cli.results.table import Column, Table

    words = without_launcher(arguments.get())
    nodes = 1
    if isinstance(options, NodeOptions):
        nodes = recipe.nodes
        if options.node_rank is not None or options.rendezvous is not None:
            raise ScasegError("a job knows its nodes", "Leave out --node-rank and --rendezvous.")
    job = submit(recipe, run, words, options.launcher.value, nodes)
    row = {"launcher": options.launcher.value, "job": job.name, "log": str(job.log)}
    table = Table("job", [Column(name, name, "text") for name in row], [row], [])
    return StageReport("job", [table], [], "scaseg status", row)


def load(options: Options) -> tuple[Recipe, RunDir]:
    """Load the recipe and the run folder of ``options``, without writing.

    Raises:
        ScasegError: the recipe has mistakes, or the run folder cannot be a folder.
    """
    recipe, run = find(options)
    file = next((place for place in (run.path, *run.path.parents) if os.path.exists(place)), None)
    if file is not None and not os.path.isdir(file):
        what = "it" if file == run.path else file
        raise ScasegError(
            f"the run folder {run.path} cannot be used: {what} is a file", "Choose another with --work-dir."
        )
    return recipe, run


def load_own(options: Options) -> tuple[Recipe, RunDir]:
    """The same for a command that works with finished results: unless a recipe is named, it is the run folder's own.

    Changes to single keys apply to that recipe. One line on stderr names it, and how it differs from the one that
    `scaseg run` would take.
    """
    from scaseg_cli.recipe import recipe_of
    from scaseg_cli.run_dir import RunDir

    if options.recipe is not None:
        return load(options)
    default, run = load(options) if options.work_dir is None else (None, RunDir(options.work_dir))
    if not run.recipe_file.is_file():
        return load(options)
    own = recipe_of(run.path, options.assignments)
    _say_own(own, run, default)
    return own, run


def _say_own(own: Recipe, run: RunDir, default: Recipe | None) -> None:
    from scaseg_cli.recipe import default_name
    from scaseg_cli.results.console import say_plainly
    from scaseg_cli.stages import stages_for
    from scaseg_cli.stages.keys import sections_of
    from scaseg_cli.stages.reasons import in_brief, other_values

    text = f"recipe: {shortened([run.recipe_file])[0]}"
    if default is not None:
        sections = [(sections_of(own, stage), sections_of(default, stage)) for stage in stages_for(own)]
        differing = dict.fromkeys(change for pair in sections for change in other_values(*pair))
        text += f", which differs from {default_name()}: {in_brief(list(differing))}" if differing else ""
    say_plainly(text)


def find(options: Options) -> tuple[Recipe, RunDir]:
    """Load the recipe of ``options``, and name its run folder without looking at it."""
    from scaseg_cli.recipe import load_recipe
    from scaseg_cli.run_dir import RunDir

    recipe = load_recipe(options.recipe, options.assignments)
    return recipe, RunDir(options.work_dir if options.work_dir is not None else recipe.folder)


def _check_devices(recipe: Recipe) -> None:
    if recipe.gpus:  # the CPU needs no check, and importing torch is slow
        from scaseg_cli.base.device import check_devices

        check_devices(recipe)


def _check_needs(recipe: Recipe, run: RunDir, stage: str) -> None:
    """Repeat the stage's own check before anything is written to the run folder; what is kept will be put back."""
    from scaseg_cli.stages import needs_of, require
    from scaseg_cli.stages.outlook import outlooks

    if stage in ("data", "split"):
        return
    ready = {one.stage for one in outlooks(recipe, run) if not one.runs}
    require(recipe, run, *(need for need in needs_of(recipe, stage) if need not in ready))


def _put_back(recipe: Recipe, run: RunDir, stage: str) -> None:
    """Put back what the run folder keeps of this recipe, of all stages before ``stage``."""
    from scaseg_cli.pipeline import put_back
    from scaseg_cli.stages import STAGES

    names = list(STAGES)
    put_back(recipe, run, *names[: names.index(stage)])


@contextlib.contextmanager
def occupied(run: RunDir) -> Iterator[None]:
    """Lock the run folder while the block runs. The lock ends with the process in every case.

    Raises:
        ScasegError: the folder cannot be written, its lock is a link, or another command runs in it.
    """
    path = run.path / ".lock"
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8", opener=own_file)  # noqa: SIM115  # closed below
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
                f"another scaseg command (process {file.read().strip() or 'unknown'}) is running in {run.path}",
                "Wait until it ends, or choose another folder with --work-dir.",
            ) from None
        except OSError:
            pass  # a file system without locks, where two commands can collide
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        remove_unfinished(run.path)
        yield


@contextlib.contextmanager
def logged(run: RunDir, node: Node | None = None) -> Iterator[None]:
    """Append the command and its messages to the run folder's log while the block runs.

    Each node has its own log, since a shared file system can lose lines that two nodes write to one file.
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
    """Suppress warnings of libraries while the block runs, unless ``debug`` is true."""
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        yield


def next_command(report: StageReport, options: Options) -> str | None:
    """The next command, with the options of the same run."""
    if report.next_command is None:
        return None
    command = report.next_command.removeprefix("scaseg ")
    return f"scaseg {command} {options.as_arguments()}".rstrip()


def show(report: StageReport, options: Options, extra: dict[str, Any]) -> None:
    """Print the report on stdout, as tables or one JSON document, and the files and the next command on stderr."""
    from scaseg_cli.results.console import print_table, say_plainly

    report = dataclasses.replace(report, next_command=next_command(report, options))
    if options.json:
        print_json(report.as_json_value() | extra)
    else:
        for table in report.tables:
            print_table(table)
    verb = "wrote" if report.summary.get("ran", True) else "already exists:"
    for path in shortened(report.wrote):
        say_plainly(f"{verb} {path}")
    if report.next_command is not None:
        say_plainly(f"next: {report.next_command}")


def shortened(paths: Iterable[Path]) -> list[str]:
    """The paths, relative to the current folder if they are below it."""
    here = Path.cwd()
    return [str(path.relative_to(here)) if path.is_relative_to(here) else str(path) for path in paths]
