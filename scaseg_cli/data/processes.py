"""Spreads work on many files over processes that end with this one."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any


@contextmanager
def spread(processes: int, what: str) -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield ``map``, or a parallel version of it whose processes end with the block.

    Args:
        processes: their number; 1 works in this process.
        what: the work in the past tense, for the error message ("scanned label maps").

    Raises:
        ScasegError: a process was killed.
    """
    if processes <= 1:
        yield map
        return
    import multiprocessing  # a twentieth of the start of a quick command
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # spawn, not fork: this process may have threads, such as that of the progress bar.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield pool.map
    except BrokenProcessPool as error:
        raise ScasegError(
            f"a process that {what} was killed", "The machine may be out of memory: run the command again."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end this process when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
