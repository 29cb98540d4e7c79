"""The rank of this machine among several, called nodes. It is not in the recipe, which all nodes share."""

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
    """A machine that takes part in a command.

    Attributes:
        rank: 0 for the node that writes the run's records and tables and holds its lock.
        rendezvous: HOST:PORT at which node 0 listens; empty if there is only one node.
        timeout: seconds that the nodes wait for each other.
        count: number of nodes.
    """

    rank: int = 0
    rendezvous: str = ""
    timeout: int = 600
    count: int = 1

    @property
    def host(self) -> str:
        """The name of node 0's machine."""
        return self.rendezvous.rpartition(":")[0].strip("[]")  # IPv6 addresses are in brackets

    @property
    def port(self) -> int:
        """The port at which node 0 listens."""
        return int(self.rendezvous.rpartition(":")[2])


_LAST_PORT = 65_535
_node = Node()


def this_node() -> Node:
    """The node of this process."""
    return _node


@contextmanager
def as_node(node: Node) -> Iterator[None]:
    """Set the node of this process while the block runs."""
    global _node
    before, _node = _node, node
    try:
        yield
    finally:
        _node = before


def choose_node(recipe: Recipe, rank: int | None, rendezvous: str | None, timeout: int) -> Node:
    """The node that the command-line options define.

    Raises:
        ScasegError: an option does not fit the recipe's ``nodes``, or is missing.
    """
    if recipe.nodes == 1:
        if rank or rendezvous is not None:
            raise ScasegError(
                "--node-rank and --rendezvous need several machines, and nodes is 1",
                "Set their number, such as --nodes 2.",
            )
        return Node()
    if rank is None or rendezvous is None:
        missing = "--node-rank" if rank is None else "--rendezvous"
        raise ScasegError(
            f"nodes is {recipe.nodes}, and {missing} is missing",
            f"Start the same command on each machine with --node-rank 0 to {recipe.nodes - 1} and --rendezvous "
            "HOST:PORT of machine 0, or use --launcher slurm or --nodes 1.",
        )
    if not 0 <= rank < recipe.nodes:
        raise ScasegError(
            f"--node-rank {rank} does not exist among {recipe.nodes} nodes", f"Use 0 to {recipe.nodes - 1}."
        )
    if not re.fullmatch(r"\S+:\d{1,5}", rendezvous) or int(rendezvous.rpartition(":")[2]) > _LAST_PORT:
        raise ScasegError(f"--rendezvous {rendezvous!r} is not HOST:PORT", "For example --rendezvous node0:29500")
    return Node(rank, rendezvous, timeout, recipe.nodes)
