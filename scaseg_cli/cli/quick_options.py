"""Spares a command typer's conversion of options that need none: it loads pydantic, a third of a quick command's start.

Text, paths and options that were not given are taken as they are. All other values are converted, and refused, by
typer.
"""

from __future__ import annotations

from enum import EnumType
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = ["-h", "--help"]  # the names of every command's help option
_NOT_QUICK = object()


def convert_quickly(command: Any) -> None:
    """Change the options of ``command``; a group's subcommands keep theirs."""
    own_help = command.get_help_option(typer.Context(command, help_option_names=HELP))  # typer makes it late, keeps it
    for parameter in (*command.params, own_help):
        annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        if annotation is not None:
            parameter.process_value = partial(_processed, parameter, annotation, parameter.process_value)


def _processed(parameter: Any, annotation: Any, by_typer: Callable[..., Any], ctx: Any, value: Any) -> Any:
    """What `process_value` of ``parameter`` returns."""
    found = _quick(parameter, annotation, value)
    if found is _NOT_QUICK:
        return by_typer(ctx, value)
    return found if parameter.callback is None else parameter.callback(ctx, parameter, found)


def _quick(parameter: Any, annotation: Any, value: Any) -> Any:
    """The value that typer would return, if that needs no conversion."""
    if value in (None, (), []):
        if parameter.required:
            return _NOT_QUICK
        return () if value is None and (parameter.multiple or parameter.nargs == -1) else value
    if isinstance(annotation, type) and isinstance(value, annotation):
        return value
    if annotation is Path and isinstance(value, str):
        return Path(value)
    if isinstance(annotation, EnumType) and value in list(annotation):
        return annotation(value)
    return _NOT_QUICK
