"""How the nodes of a command work together: node 0 names each task, and every node does its part of it.

Node 0 listens at the rendezvous while its command runs. Each other node connects, says what it was started with, and
waits for tasks; it knows nothing of stages. A connection that closes is a command that ended, so that no node waits for
one that is gone. Messages are JSON.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError, explained
from scaseg_cli.launch.first_node import FirstNode
from scaseg_cli.launch.other_node import OtherNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scaseg_cli.launch.messages import Says
    from scaseg_cli.launch.nodes import Node


@dataclass
class _Place:
    meeting: FirstNode | OtherNode | None = field(default=None)


_place = _Place()


def first_node() -> FirstNode | None:
    """Node 0's side of the meeting of this process; None if there are no other nodes."""
    return _place.meeting if isinstance(_place.meeting, FirstNode) else None


@contextmanager
def meeting(node: Node, folder: Path, says: Says) -> Iterator[FirstNode | OtherNode | None]:
    """Work together with the other nodes while the block runs; None if there are none.

    Args:
        node: this node.
        folder: the run folder of the command.
        says: what the command was started with, by what it is called in the error if the nodes differ in it.

    Raises:
        ScasegError: the nodes cannot reach each other.
    """
    if node.count == 1:
        yield None
        return
    here = OtherNode(node, says) if node.rank else FirstNode(node, folder, says)
    _place.meeting = here
    error: ScasegError | None = None
    try:
        yield here
    except BaseException as raised:
        unknown = ScasegError(f"the command was ended by {type(raised).__name__}", "See its output.")
        error = explained(raised) or unknown
        raise
    finally:
        _place.meeting = None
        here.close(error)
