"""Results made in background threads, a few ahead of who takes them; memory does not grow with their number.

Threads do where the work is decoding images and NumPy on whole maps, since both let other threads run.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prefetched(function: Callable[[T], R], items: Iterable[T], workers: int, depth: int = 4) -> Iterator[R]:
    """``function`` of each item, in the items' order.

    Args:
        function: called in ``workers`` threads at once; what it raises is raised here.
        items: taken one by one, here, no more than are needed.
        workers: threads; 0 calls the function here, when its result is asked for.
        ahead: results that wait for each worker, at most.
    """
    if workers < 1:
        yield from map(function, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque(pool.submit(function, item) for item in islice(remaining, depth * workers))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
                yield result
        finally:  # who takes them has had enough: what waits need not be made
            pool.shutdown(wait=True, cancel_futures=True)
