"""Talk goes to stderr: lines, and progress bars that turn into plain lines when nobody watches. Tables go to stdout."""

from __future__ import annotations

import io
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict, TypeVar

import rich.box
import rich.progress
import rich.table
from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from scaseg_cli.results.table import Table, header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")
console = Console(stderr=True, highlight=False)
_log: Console | None = None
_tell: Callable[[Progress], None] | None = None
_PIPE_WIDTH = 120  # columns of a table, at least, when stdout is not a terminal
_LINE_EVERY = 15.0  # seconds between plain progress lines, where stderr is not a terminal and in the log
_TELL_EVERY = 1.0  # seconds between what a worker tells of its progress


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
    """While the block runs, what is said also goes to the end of the file ``path``, without colours.

    A block inside another has a log of its own.
    """
    global _log
    outer = _log
    with open(path, "a", encoding="utf-8", buffering=1) as file:
        _log = Console(file=file, highlight=False, no_color=True, force_terminal=False)
        try:
            yield
        finally:
            _log = outer


class Progress(TypedDict):
    """How far a process is, for another one to show."""

    description: str
    total: int
    completed: int
    begun: int
    seconds: float
    unit: str
    units_per_step: int
    note: str


def progress_to(tell: Callable[[Progress], None]) -> None:
    """From now on every `Meter` of this process is told to ``tell``, and neither drawn nor written here."""
    global _tell
    _tell = tell


class Meter:
    """Counts steps of one piece of work: a bar on a terminal; a line now and then elsewhere, and in the log.

    Args:
        description: of the work.
        total: steps.
        completed: steps that were done earlier.
        unit: what is counted a second, such as "images"; empty: nothing is.
        units_per_step: how many of it a step is.
        seconds: for how long the work has gone on already since ``completed``.
    """

    def __init__(
        self,
        description: str,
        total: int,
        completed: int = 0,
        unit: str = "",
        units_per_step: int = 1,
        seconds: float = 0.0,
    ) -> None:
        self.description, self.total, self.completed = description, total, completed
        self.unit, self.units_per_step, self.note = unit, units_per_step, ""
        self._begun, self._started = completed, time.monotonic() - seconds
        self._last_line = time.monotonic()
        self._bar: rich.progress.Progress | None = None
        if console.is_terminal and _tell is None:
            self._bar = rich.progress.Progress(
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

    @property
    def rate(self) -> float:
        """Units a second, steps where there is no unit, since this meter began; 0 where nothing is done yet."""
        passed = time.monotonic() - self._started
        return (self.completed - self._begun) * self.units_per_step / passed if passed > 0 else 0.0

    def advance(self, steps: int = 1, note: str = "") -> None:
        """``steps`` more are done; ``note`` (losses, memory) is shown beside the count until the next one."""
        self.follow(self.total, self.completed + steps, note)

    def follow(self, total: int, completed: int, note: str = "") -> None:
        """``completed`` of ``total`` are done."""
        self.total, self.completed, self.note = total, completed, note or self.note
        if self._bar is not None:
            words = ", ".join(self._words())
            self._bar.update(self._task, total=total, completed=completed, note=words)
        now = time.monotonic()
        if now - self._last_line < (_LINE_EVERY if _tell is None else _TELL_EVERY):
            return
        self._last_line = now
        if _tell is not None:
            _tell(self._progress())
            return
        line = ", ".join([f"{self.description}: {completed}/{total}", *self._words(), f"{self._left()} left"])
        (say_plainly if self._bar is None else say_to_log)(line)

    def _words(self) -> list[str]:
        return [self.note] * bool(self.note) + [f"{self.rate:.3g} {self.unit}/s"] * bool(self.unit)

    def _left(self) -> str:
        rate = self.rate / self.units_per_step
        return in_words((self.total - self.completed) / rate) if rate else "unknown time"

    def _progress(self) -> Progress:
        return {
            "description": self.description,
            "total": self.total,
            "completed": self.completed,
            "begun": self._begun,
            "seconds": time.monotonic() - self._started,
            "unit": self.unit,
            "units_per_step": self.units_per_step,
            "note": self.note,
        }

    def close(self) -> None:
        """The bar goes."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def meter(description: str, total: int, completed: int = 0, unit: str = "") -> Iterator[Meter]:
    """A `Meter` that is closed when the block ends, however it ends."""
    shown = Meter(description, total, completed, unit)
    try:
        yield shown
    finally:
        shown.close()


def in_words(seconds: float) -> str:
    """A time, such as "3 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


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
    if isinstance(sys.stdout, io.TextIOWrapper) and not out.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")  # a "±" that cannot be written is no reason to show nothing
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
        bold = table.bold_cells(row)
        shown = [Text(cells[place], style="bold" if bold[place] else "") for place in chosen]
        drawn.add_row(*shown, style=row.get("_style"), end_section=bool(row.get("_section")))
    return drawn
