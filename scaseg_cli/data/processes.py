"""Spreads work on many files over this process and others, which end with it."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from scaseg_cli.data.kept_memory import keep_freed_memory
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor
    from typing import Any

_AHEAD = 2  # tasks that each other process has, the one that it works on included


@contextmanager
def spread(processes: int, what: str) -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield ``map``, or a parallel version of it, with the results in order; its processes end with the block.

    This process works too while it would otherwise wait: one process less has to be started.

    Args:
        processes: their number, this one included.
        what: the work in the past tense, for the error message ("scanned label maps").

    Raises:
        ScasegError: a process was killed.
    """
    keep_freed_memory()
    if processes <= 1:
        yield map
        return
    import multiprocessing  # a twentieth of the start of a quick command
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # spawn, not fork: this process may have threads, such as that of the progress bar.
    others = processes - 1
    pool = ProcessPoolExecutor(others, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield partial(_shared_map, pool, _AHEAD * others)
    except BrokenProcessPool as error:
        raise ScasegError(
            f"a process that {what} was killed", "The machine may be out of memory: run the command again."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _shared_map(pool: Executor, ahead: int, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Yield ``function(item)`` in order; ``ahead`` items at a time are in the pool, this process takes others."""
    remaining = iter(items)
    waiting: deque[Future[Any]] = deque()
    while True:
        free = max(0, ahead - sum(not result.done() for result in waiting))
        waiting.extend(pool.submit(function, item) for item in islice(remaining, free))
        if waiting and waiting[0].done():
            yield waiting.popleft().result()
            continue
        own = [_called(function, item) for item in islice(remaining, 1)]
        waiting.extend(own)
        if not own:  # nothing is left to do here but to wait
            for result in waiting:
                yield result.result()
            return


def _called(function: Callable[[Any], Any], item: Any) -> Future[Any]:
    """The result of a call in this process, or what it raised."""
    done: Future[Any] = Future()
    try:
        done.set_result(function(item))
    except Exception as error:
        done.set_exception(error)
    return done


def _begin() -> None:
    """Leave Ctrl-C to the parent, keep the memory of images, and end this process when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
