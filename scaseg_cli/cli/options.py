"""The options that all stage commands share."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import shlex
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, get_type_hints

import typer

from scaseg_cli.cli import completion
from scaseg_cli.errors import ScasegError

_RECIPE, _MACHINE, _OUTPUT = "Recipe", "Machine", "Output"
# The arguments of this process, for its log and for a job that runs the same command.
arguments: ContextVar[tuple[str, ...]] = ContextVar("arguments", default=())


class LauncherOption(StrEnum):
    """Where a command runs."""

    HERE = "here"
    SLURM = "slurm"
    LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a command that works on a run."""

    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", metavar="NAME|FILE", rich_help_panel=_RECIPE, show_default=False,
            autocompletion=completion.recipes,
            help="A shipped recipe or a YAML file. Default: scaseg.yaml in this folder, else shapes-zps; for commands "
            "on finished results, the run folder's own recipe.",
        ),
    ] = None  # fmt: skip
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir", "-w", metavar="FOLDER", rich_help_panel=_RECIPE, show_default=False,
            help="The run folder, which all stages of a run share. Default: runs/NAME, with the recipe's name.",
        ),
    ] = None  # fmt: skip
    changes: Annotated[
        tuple[str, ...],
        typer.Option(
            "--set", metavar="KEY=VALUE", rich_help_panel=_RECIPE, show_default=False, autocompletion=completion.keys,
            help="Change one key of the recipe, such as base.v2c.gamma=3. Can be repeated.",
        ),
    ] = ()  # fmt: skip
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            rich_help_panel=_RECIPE,
            show_default=False,
            help="Random seed. Default: the recipe's.",
        ),
    ] = None
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus", metavar="N", rich_help_panel=_MACHINE, show_default=False,
            help="CUDA devices per machine; 0 runs on the CPU. Default: the recipe's.",
        ),
    ] = None  # fmt: skip
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", metavar="N", rich_help_panel=_MACHINE, show_default=False,
            help="CPU processes per machine. Default: the recipe's.",
        ),
    ] = None  # fmt: skip
    json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel=_OUTPUT, help="Print only one JSON document on stdout."),
    ] = False
    debug: Annotated[
        bool,
        typer.Option("--debug", rich_help_panel=_OUTPUT, help="Show tracebacks and warnings of libraries."),
    ] = False

    @property
    def assignments(self) -> tuple[str, ...]:
        """All changes to the recipe as for `--set`; options such as `--seed` take precedence over `--set`."""
        named = {key: getattr(self, key, None) for key in ("seed", "gpus", "processes", "nodes")}
        return (*self.changes, *(f"{key}={value}" for key, value in named.items() if value is not None))

    def as_arguments(self) -> str:
        """The options that identify the run, for the next command."""
        words: list[str] = []
        for name, value in (("--recipe", self.recipe), ("--work-dir", self.work_dir)):
            words += [name, str(value)] if value is not None else []
        for change in self.changes:
            words += ["--set", change]
        for name, number in (("--seed", self.seed), ("--gpus", self.gpus), ("--processes", self.processes)):
            words += [name, str(number)] if number is not None else []
        return shlex.join(words)

    def of_run(self, run: Path) -> Self:
        """The options with the run folder that the command's argument names.

        Raises:
            ScasegError: --work-dir names one too.
        """
        if self.work_dir is not None:
            raise ScasegError(f"--work-dir {self.work_dir} and {run} both say which run it is", "Leave out --work-dir.")
        return dataclasses.replace(self, work_dir=run)


@dataclass(frozen=True, kw_only=True)
class StageOptions(Options):
    """The options of a command that runs stages."""

    launcher: Annotated[
        LauncherOption,
        typer.Option(
            "--launcher", rich_help_panel=_MACHINE,
            help="slurm: submit the command as a job, see the recipe's slurm section; local: a job on this machine. "
            "The command then prints the job and ends.",
        ),
    ] = LauncherOption.HERE  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NodeOptions(StageOptions):
    """The options of a command that can use several machines."""

    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes", metavar="N", rich_help_panel=_MACHINE, show_default=False,
            help="Machines that share the work. Start the same command on each, unless it is a job.",
        ),
    ] = None  # fmt: skip
    node_rank: Annotated[
        int | None,
        typer.Option(
            "--node-rank", metavar="R", rich_help_panel=_MACHINE, show_default=False,
            help="Rank of this machine: 0 writes the results, 1 and so on help.",
        ),
    ] = None  # fmt: skip
    rendezvous: Annotated[
        str | None,
        typer.Option(
            "--rendezvous", metavar="HOST:PORT", rich_help_panel=_MACHINE, show_default=False,
            help="Address of machine 0 as seen from the others, and a free port there.",
        ),
    ] = None  # fmt: skip
    timeout: Annotated[
        int,
        typer.Option(
            "--timeout", metavar="SECONDS", min=1, rich_help_panel=_MACHINE,
            help="How long the machines wait for each other.",
        ),
    ] = 600  # fmt: skip


def parsed_seeds(text: str) -> list[int]:
    """The value of `--seeds`.

    Raises:
        ScasegError: it is not a list of distinct whole numbers.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len({int(word) for word in words}) < len(words):
        raise ScasegError(f"--seeds {text!r} is not a list of distinct whole numbers", "For example --seeds 0,1,2")
    return [int(word) for word in words]


def without_launcher(words: tuple[str, ...]) -> list[str]:
    """A command's arguments without `--launcher` and its value."""
    kept = [word for word in words if not word.startswith("--launcher=")]
    if "--launcher" in kept:
        place = kept.index("--launcher")
        del kept[place : place + 2]
    return kept


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of ``command``'s first parameter, an `Options` class, to its other parameters."""
    first, *own = inspect.signature(command, eval_str=True).parameters.values()
    kind: type[Options] = first.annotation
    hints = get_type_hints(kind, include_extras=True)
    shared = []
    for field in dataclasses.fields(kind):
        hint, default = hints[field.name], field.default
        if field.name == "changes":  # typer collects repeated options in a list
            hint, default = Annotated[(list[str], *hint.__metadata__)], []
        shared.append(inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint))
    names = {parameter.name for parameter in shared}

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        given = {name: value for name, value in values.items() if name in names}
        given["changes"] = tuple(given["changes"])
        rest = {name: value for name, value in values.items() if name not in names}
        command(kind(**given), **rest)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}  # evaluated
    del wrapper.__wrapped__  # typer would follow it to the signature without the shared options
    return wrapper
