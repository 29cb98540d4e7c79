"""Talk goes to stderr: lines, and progress bars that turn into plain lines when nobody watches. Tables go to stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import rich.box
import rich.table
from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from scaseg_cli.results.table import Table, header

T = TypeVar("T")
console = Console(stderr=True, highlight=False)
_log: Console | None = None
_PIPE_WIDTH = 120  # columns of a table, at least, when stdout is not a terminal
_LINE_EVERY = 15.0  # seconds between plain progress lines when stderr is not a terminal


def say(text: str) -> None:
    """One line to the person, on stderr. Rich markup is understood."""
    console.print(text, soft_wrap=True)
    if _log is not None:
        _log.print(text, soft_wrap=True)


def say_plainly(text: str) -> None:
    """One line to the person, as it is, brackets and all."""
    say(escape(text))


def say_to_log(text: str) -> None:
    """One line, as it is, to the log alone."""
    if _log is not None:
        _log.print(Text(text), soft_wrap=True)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """While the block runs, what is said also goes to the end of the file ``path``, without colours."""
    global _log
    with open(path, "a", encoding="utf-8", buffering=1) as file:
        _log = Console(file=file, highlight=False, no_color=True, force_terminal=False)
        try:
            yield
        finally:
            _log = None


class Meter:
    """Counts steps of one piece of work; draws a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, description: str, total: int, completed: int = 0) -> None:
        self.description, self.total, self.completed = description, total, completed
        self._first, self._started = completed, time.monotonic()
        self._last_line = self._started
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", style="dim"),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task(description, total=total, completed=completed, note="")
            self._bar.start()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """``steps`` more are done; ``note`` (losses, a rate) is shown beside the count."""
        self.completed += steps
        if self._bar is not None:
            self._bar.update(self._task, advance=steps)
            if note:
                self._bar.update(self._task, note=note)
            return
        now = time.monotonic()
        if now - self._last_line >= _LINE_EVERY:
            self._last_line = now
            rate = (self.completed - self._first) / (now - self._started)
            left = (self.total - self.completed) / rate if rate else 0.0
            say(f"{self.description}: {self.completed}/{self.total}, {left:.0f} s left {note}".rstrip())

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def meter(description: str, total: int, completed: int = 0) -> Iterator[Meter]:
    """A `Meter` that is closed when the block ends, however it ends."""
    shown = Meter(description, total, completed)
    try:
        yield shown
    finally:
        shown.close()


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield ``items`` and show how many of ``total`` are done."""
    with meter(description, total) as shown:
        for item in items:
            yield item
            shown.advance()


def print_table(table: Table) -> None:
    """Print ``table`` on stdout.

    In a pipe or a file it is as wide as its content needs, and nothing is cut. On a terminal too narrow for it the
    columns of detail are left out, and a line says which.
    """
    out = Console(highlight=False)
    drawn, notes = _drawn(table), list(table.notes)
    natural = Measurement.get(out, out.options.update(max_width=10_000), drawn).maximum
    if not sys.stdout.isatty():  # not out.is_terminal, which FORCE_COLOR makes true in a pipe
        out.size = ConsoleDimensions(max(_PIPE_WIDTH, natural), 100)
    elif natural > out.width and any(column.is_detail for column in table.columns):
        left_out = [column.title for column in table.columns if column.is_detail]
        drawn = _drawn(table, with_detail=False)
        notes.append(f"For want of room: without {', '.join(left_out)}.")
    out.print(drawn)
    for note in notes:
        out.print(Text(note, style="dim"), soft_wrap=True)


def _drawn(table: Table, with_detail: bool = True) -> rich.table.Table:
    """Rich's table; cells are `Text`, so that a name in brackets is never taken for markup."""
    drawn = rich.table.Table(title=Text(table.title), box=rich.box.SIMPLE_HEAD, title_justify="left")
    chosen = [place for place, column in enumerate(table.columns) if with_detail or not column.is_detail]
    for column in (table.columns[place] for place in chosen):
        drawn.add_column(
            Text(header(column)),
            justify="right" if column.is_numeric else "left",
            no_wrap=column.is_numeric,
            overflow="fold",
        )
    for row, cells in zip(table.rows, table.shown_rows(), strict=True):
        drawn.add_row(
            *(Text(cells[place]) for place in chosen), style=row.get("_style"), end_section=bool(row.get("_section"))
        )
    return drawn
