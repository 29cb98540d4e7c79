"""Computes results in background threads, a few ahead of the consumer, in bounded memory.

Threads suffice for decoding images and for NumPy on whole maps, since both release the GIL.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
R = TypeVar("R")


def num_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prefetched(function: Callable[[T], R], items: Iterable[T], workers: int, depth: int = 4) -> Generator[R]:
    """Yield ``function(item)`` for each item, in order.

    Args:
        function: called in ``workers`` threads at once; what it raises is raised here.
        items: consumed one by one in the calling thread, no further than needed.
        workers: threads; 0 calls the function in the calling thread, when its result is requested.
        depth: results that wait per worker, at most.
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
        finally:  # the consumer stopped: drop what is still queued
            pool.shutdown(wait=True, cancel_futures=True)
