"""Messages and progress bars on stderr, as plain lines if it is no terminal; tables on stdout."""

from __future__ import annotations

import io
import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypedDict, TypeVar

import rich.box
import rich.table
from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from rich.measure import Measurement
from rich.text import Text

from scaseg_cli.files import own_file
from scaseg_cli.results.printable import printable
from scaseg_cli.results.table import Table, header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rich.progress import Progress as Bar

T = TypeVar("T")
console = Console(stderr=True, highlight=False)
_log: Console | None = None
_silent: ContextVar[bool] = ContextVar("silent", default=False)
_tell: Callable[[Progress], None] | None = None
_PIPE_WIDTH = 120  # minimum width of a table when stdout is not a terminal
_LINE_EVERY = 15.0  # seconds between plain progress lines in the log, and on stderr if it is not a terminal
_TELL_EVERY = 1.0  # seconds between a worker's progress messages


@contextmanager
def silent() -> Iterator[None]:
    """While the block runs, this thread writes nothing to stderr, neither lines nor progress bars."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def say(text: str) -> None:
    """Print one line on stderr and in the log, with Rich markup."""
    text = printable(text)
    if not _silent.get():
        console.print(text, soft_wrap=True)
    if _log is not None:
        _log.print(text, soft_wrap=True)


def say_plainly(text: str) -> None:
    """Print one line on stderr and in the log, without markup."""
    say(escape(text))


def say_to_log(text: str) -> None:
    """Write one line to the log only, without markup."""
    if _log is not None:
        _log.print(Text(printable(text)), soft_wrap=True)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append all messages to the file ``path`` while the block runs, without colours.

    An inner block replaces the log of an outer one.

    Raises:
        ScasegError: ``path`` is a link.
    """
    global _log
    outer = _log
    with open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1, opener=own_file) as file:
        _log = Console(file=file, highlight=False, no_color=True, force_terminal=False)
        try:
            yield
        finally:
            _log = outer


class Progress(TypedDict):
    """A worker's progress, for the launching process to show."""

    description: str
    total: int
    completed: int
    begun: int
    seconds: float
    unit: str
    units_per_step: int
    note: str


def progress_to(tell: Callable[[Progress], None]) -> None:
    """Send the progress of every `Meter` of this process to ``tell`` instead of showing it."""
    global _tell
    _tell = tell


class Meter:
    """Counts the steps of a task, with a bar on a terminal, and regular lines elsewhere and in the log.

    Args:
        description: name of the task.
        total: number of steps.
        completed: steps done before.
        unit: unit of the displayed rate, such as "images"; empty: no rate.
        units_per_step: units in one step.
        seconds: time already spent since ``completed``.
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
        self._is_silent = _silent.get()
        self._last_line = time.monotonic()
        self._bar: Bar | None = None
        if console.is_terminal and _tell is None and not self._is_silent:
            self._bar = _new_bar()
            self._task = self._bar.add_task(description, total=total, completed=completed, note="")
            self._bar.start()

    @property
    def rate(self) -> float:
        """Units per second, or steps without a unit, since this meter began; 0 at the start."""
        passed = time.monotonic() - self._started
        return (self.completed - self._begun) * self.units_per_step / passed if passed > 0 else 0.0

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` more; ``note`` (losses, memory) is shown beside the count until the next note."""
        self.follow(self.total, self.completed + steps, note)

    def follow(self, total: int, completed: int, note: str = "") -> None:
        """Set the count to ``completed`` of ``total``."""
        self.total, self.completed, self.note = total, completed, note or self.note
        if self._is_silent:
            return
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
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()


def _new_bar() -> Bar:
    from rich import progress  # a tenth of the start of a quick command

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=28),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        transient=True,
    )


@contextmanager
def meter(description: str, total: int, completed: int = 0, unit: str = "") -> Iterator[Meter]:
    """Yield a `Meter` that is closed when the block ends."""
    shown = Meter(description, total, completed, unit)
    try:
        yield shown
    finally:
        shown.close()


def in_words(seconds: float) -> str:
    """Format a duration, such as "3 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield ``items`` and show the progress."""
    with meter(description, total) as shown:
        for item in items:
            yield item
            shown.advance()


def print_table(table: Table) -> None:
    """Print ``table`` on stdout.

    In a pipe or a file the table is as wide as its content. On a terminal that is too narrow, the columns of detail
    are omitted, and a line names them.
    """
    out = Console(highlight=False)
    if isinstance(sys.stdout, io.TextIOWrapper) and not out.encoding.lower().startswith("utf"):
        sys.stdout.reconfigure(errors="replace")  # an encoding without "±" must not fail
    drawn, notes = _drawn(table), list(table.notes)
    natural = Measurement.get(out, out.options.update(max_width=10_000), drawn).maximum
    if not sys.stdout.isatty():  # out.is_terminal is true in a pipe with FORCE_COLOR
        out.size = ConsoleDimensions(max(_PIPE_WIDTH, natural), 100)
    elif natural > out.width and any(column.is_detail for column in table.columns):
        left_out = [column.title for column in table.columns if column.is_detail]
        drawn = _drawn(table, with_detail=False)
        notes.append(f"Omitted on this narrow terminal: {', '.join(left_out)}.")
    out.print(drawn)
    for note in notes:
        out.print(Text(printable(note), style="dim"), soft_wrap=True)


def _drawn(table: Table, with_detail: bool = True) -> rich.table.Table:
    """Build Rich's table; its cells are `Text`, so that names in brackets are not read as markup."""
    drawn = rich.table.Table(title=Text(printable(table.title)), box=rich.box.SIMPLE_HEAD, title_justify="left")
    chosen = [place for place, column in enumerate(table.columns) if with_detail or not column.is_detail]
    for column in (table.columns[place] for place in chosen):
        drawn.add_column(
            Text(printable(header(column))),
            justify="right" if column.is_numeric else "left",
            no_wrap=column.is_numeric,
            overflow="fold",
        )
    for row, cells in zip(table.rows, table.shown_rows(), strict=True):
        bold = table.bold_cells(row)
        shown = [Text(_one_line(cells[place]), style="bold" if bold[place] else "") for place in chosen]
        drawn.add_row(*shown, style=row.get("_style"), end_section=bool(row.get("_section")))
    return drawn


def _one_line(cell: str) -> str:
    return printable(cell).replace("\n", "\\n").replace("\t", "\\t")
