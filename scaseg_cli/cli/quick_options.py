"""Spares a command typer's conversion of options that need none: it loads pydantic, a third of a quick command's start.

Text, paths and options that were not given are taken as they are. All other values are converted, and refused, by
typer. A typer that converts in another way is left alone.
"""

from __future__ import annotations

from enum import EnumType
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Quick:
    """The conversion of one option's value; typer's is built when a value needs it."""

    def __init__(self, kind: Any, descriptor: Any) -> None:
        self._kind, self._descriptor = kind, descriptor

    def coerce(self, value: Any, **where: Any) -> Any:
        """Convert a value, with typer's arguments ``param`` and ``ctx``."""
        if value is None and getattr(where["param"], "multiple", False):
            return ()
        if value in (None, (), []) or (isinstance(self._kind, type) and isinstance(value, self._kind)):
            return value
        if self._kind is Path and isinstance(value, str):
            return Path(value)
        if isinstance(self._kind, EnumType) and value in list(self._kind):
            return self._kind(value)
        from typer._coercion import build_runtime_param

        return build_runtime_param(self._descriptor).coerce(value, **where)


def convert_quickly(command: Any, help_names: Sequence[str]) -> None:
    """Change the options of ``command`` and its subcommands; ``help_names`` are those of their help option."""
    own_help = command.get_help_option(
        typer.Context(command, help_option_names=list(help_names))
    )  # typer makes it late, and keeps it
    for parameter in (*getattr(command, "params", ()), own_help):
        descriptor = getattr(parameter, "type_descriptor", None)
        if getattr(parameter, "_runtime_param", 0) is None and descriptor is not None:
            parameter._runtime_param = _Quick(getattr(descriptor, "annotation", None), descriptor)
    for subcommand in getattr(command, "commands", {}).values():
        convert_quickly(subcommand, help_names)
