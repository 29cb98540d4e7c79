"""Which of several machines, called nodes, this one is. Not in the recipe, which is the same on all of them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class Node:
    """This machine among those of a training.

    Attributes:
        rank: 0 for the one that keeps the run's books: records, tables, the lock.
        rendezvous: HOST:PORT at which node 0 listens; empty where there is one node.
        timeout: seconds that the nodes wait for each other.
    """

    rank: int = 0
    rendezvous: str = ""
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


def choose_node(recipe: Recipe, rank: int | None, rendezvous: str | None, timeout: int) -> Node:
    """The node that a person says this machine is.

    Raises:
        ScasegError: what they say does not fit the recipe's ``nodes``, or something is left out.
    """
    if recipe.nodes == 1:
        if rank or rendezvous is not None:
            raise ScasegError(
                "--node-rank and --rendezvous are for several machines, and nodes is 1", "Say how many: --nodes 2"
            )
        return Node()
    if rank is None or rendezvous is None:
        missing = "--node-rank" if rank is None else "--rendezvous"
        raise ScasegError(
            f"nodes is {recipe.nodes}, and {missing} is not given",
            f"Start the same command on each machine with --node-rank 0 to {recipe.nodes - 1} and --rendezvous "
            "HOST:PORT of machine 0; or take --launcher slurm; or --nodes 1.",
        )
    if not 0 <= rank < recipe.nodes:
        raise ScasegError(f"there is no --node-rank {rank} among {recipe.nodes} nodes", "They count from 0.")
    if not re.fullmatch(r"\S+:\d{1,5}", rendezvous):
        raise ScasegError(f"--rendezvous {rendezvous!r} is not HOST:PORT", "For example --rendezvous node0:29500")
    return Node(rank, rendezvous, timeout)
