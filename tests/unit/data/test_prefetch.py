"""Prefetched results: in order, few at a time, and with their errors."""

import threading
import time

import pytest

from scaseg_cli.data.prefetch import num_cores, prefetched


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(workers):
    def slow_at_first(item):
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(prefetched(slow_at_first, range(50), workers)) == [item * item for item in range(50)]


@pytest.mark.parametrize(("workers", "depth"), [(0, 4), (1, 4), (2, 4), (3, 1)])
def test_no_more_items_are_taken_than_are_ahead(workers, depth):
    taken = []

    def items():
        for item in range(10_000):
            taken.append(item)
            yield item

    results = prefetched(str, items(), workers, depth)
    for _ in range(5):
        next(results)
    results.close()
    assert 5 <= len(taken) <= 5 + depth * workers


def test_workers_work_at_the_same_time():
    together = threading.Barrier(2, timeout=20)
    assert len(list(prefetched(lambda _: together.wait(), range(4), 2))) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_where_its_result_is_taken(workers):
    results = prefetched(lambda item: 1 // item, [1, 0, 1], workers)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_gives_nothing():
    assert list(prefetched(str, [], 2)) == []
    assert num_cores() >= 1
