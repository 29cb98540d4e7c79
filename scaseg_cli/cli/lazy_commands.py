"""Commands that are imported when they are used: most of a quick command's start was the import of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_group

from scaseg_cli.cli.quick_options import convert_quickly


class Entry(NamedTuple):
    """Where a command is.

    Attributes:
        module: its module in this package.
        panel: the heading that `--help` lists it under; None: it is not listed.
    """

    module: str
    panel: str | None


class LazyCommands(Mapping[str, Any]):
    """Commands by name, each made when it is asked for, from the function or the `typer.Typer` of the same name."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self._entries[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _made(name: str, entry: Entry) -> Any:
    """Import a command, and let typer make it as a part of an application of its own."""
    part = getattr(import_module(f"scaseg_cli.cli.{entry.module}"), name.replace("-", "_"))
    host = typer.Typer(rich_markup_mode="markdown")
    if isinstance(part, typer.Typer):
        host.add_typer(part, name=name, rich_help_panel=entry.panel)
    else:
        host.command(name, rich_help_panel=entry.panel, hidden=entry.panel is None)(part)
    command = get_group(host).commands[name]
    for made in (command, *getattr(command, "commands", {}).values()):
        convert_quickly(made)
    return command


def group_of(entries: Mapping[str, Entry]) -> type[TyperGroup]:
    """The class of a command whose subcommands are ``entries``, for `typer.Typer`."""

    class LazyGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = LazyCommands(entries)  # type: ignore[assignment]  # none is added later

    return LazyGroup
