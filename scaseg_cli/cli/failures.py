"""Error messages and exit codes of failed commands."""

from __future__ import annotations

import sys
import traceback

from scaseg_cli.errors import explained
from scaseg_cli.results.printable import printable

BUG, USER, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
RESUME = "Run the same command to resume."


def tell(text: str, hint: str | None = None) -> None:
    """Print an error and its hint on stderr."""
    from rich.text import Text

    from scaseg_cli.results.console import console

    console.print(Text("error: ", style="bold red").append(printable(text), style="not bold default"), soft_wrap=True)
    if hint:
        console.print(Text(printable(hint)), soft_wrap=True)


def report_error(error: Exception, debug: bool) -> int:
    """Print what went wrong and return the exit code."""
    if debug:
        sys.stderr.write(printable("".join(traceback.format_exception(error))))
    known = explained(error)
    if known is not None:
        tell(known.message, known.hint)
        return USER
    first = (str(error).splitlines() or [""])[0]
    advice = "" if debug else "; --debug shows the traceback"
    tell(f"this is a bug of scaseg: {type(error).__name__}: {first}{advice}")
    return BUG
