"""Which of several machines this one is. Not in the recipe, which is the same on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """This machine among those of a training.

    Attributes:
        rank: 0 for the one that keeps the run's books: records, tables, the lock.
        rendezvous: HOST:PORT at which machine 0 listens; None where there is one machine.
        timeout: seconds that the machines wait for each other.
    """

    rank: int = 0
    rendezvous: str | None = None
    timeout: int = 600


_node = Node()


def this_node() -> Node:
    """The machine that this process runs on."""
    return _node


@contextmanager
def as_node(node: Node) -> Iterator[None]:
    """While the block runs, this process is on ``node``."""
    global _node
    before, _node = _node, node
    try:
        yield
    finally:
        _node = before
