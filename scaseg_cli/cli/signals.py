"""SIGTERM and SIGHUP end a command as Ctrl-C does: files are closed and child processes end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """Raised when signal ``number`` ends the process. Not an `Exception`, so that no handler treats it as a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def raised_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise `Terminated` in the main thread while the block runs."""
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() != process:  # a forked child, such as a data loading worker, ends at once
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Terminated(number)

    # A signal that is ignored (nohup) or already handled is left alone.
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
