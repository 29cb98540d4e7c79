"""The options that every stage command shares, written once."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

_RECIPE, _MACHINE, _OUTPUT = "Recipe", "Machine", "Output"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person gave to a stage command."""

    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", metavar="NAME|FILE", rich_help_panel=_RECIPE, show_default=False,
            help="A shipped recipe or a YAML file. Without it: scaseg.yaml in this folder, else shapes-zps.",
        ),
    ] = None  # fmt: skip
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir", "-w", metavar="FOLDER", rich_help_panel=_RECIPE, show_default=False,
            help="The run folder, which all stages of one run share. Without it: runs/ and the recipe's name.",
        ),
    ] = None  # fmt: skip
    changes: Annotated[
        tuple[str, ...],
        typer.Option(
            "--set", metavar="KEY=VALUE", rich_help_panel=_RECIPE, show_default=False,
            help="Change one key of the recipe, such as base.v2c.gamma=3. May be given again and again.",
        ),
    ] = ()  # fmt: skip
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", rich_help_panel=_RECIPE, show_default=False, help="The recipe's seed."),
    ] = None
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus", metavar="N", rich_help_panel=_MACHINE, show_default=False,
            help="CUDA devices to use; 0 runs on the CPU. Without it: what the recipe says.",
        ),
    ] = None  # fmt: skip
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", metavar="N", rich_help_panel=_MACHINE, show_default=False,
            help="Training processes on the CPU, for train-base.",
        ),
    ] = None  # fmt: skip
    json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel=_OUTPUT, help="Print one JSON document on stdout, and nothing else."),
    ] = False
    debug: Annotated[
        bool,
        typer.Option("--debug", rich_help_panel=_OUTPUT, help="Show tracebacks, and what libraries warn of."),
    ] = False

    @property
    def assignments(self) -> tuple[str, ...]:
        """All changes to the recipe as `--set` would make them; an option of its own name wins over `--set`."""
        named = {"seed": self.seed, "gpus": self.gpus, "processes": self.processes}
        return (*self.changes, *(f"{key}={value}" for key, value in named.items() if value is not None))

    def as_arguments(self) -> str:
        """The options that say which run it is, to be given to the next command too."""
        words: list[str] = []
        for name, value in (("--recipe", self.recipe), ("--work-dir", self.work_dir)):
            words += [name, str(value)] if value is not None else []
        for change in self.changes:
            words += ["--set", change]
        for name, number in (("--seed", self.seed), ("--gpus", self.gpus), ("--processes", self.processes)):
            words += [name, str(number)] if number is not None else []
        return shlex.join(words)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command``, whose first parameter is an `Options`, all shared options beside its own parameters."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    hints = get_type_hints(Options, include_extras=True)
    shared = []
    for field in dataclasses.fields(Options):
        hint, default = hints[field.name], field.default
        if field.name == "changes":  # typer collects repeated options in a list
            hint, default = Annotated[(list[str], *hint.__metadata__)], []  # type: ignore[assignment]
        shared.append(inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint))
    names = {parameter.name for parameter in shared}

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        given = {name: value for name, value in values.items() if name in names}
        given["changes"] = tuple(given["changes"])
        rest = {name: value for name, value in values.items() if name not in names}
        command(Options(**given), **rest)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del wrapper.__wrapped__  # typer would follow it to the signature without the shared options
    return wrapper
