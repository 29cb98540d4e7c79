"""Node 0's side of the work of several nodes: it names each task to the others, and hears how they fare."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.messages import TICK, Says, Task, error_of, has_ended, kept_alive, received, send, told
from scaseg_cli.results.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scaseg_cli.launch.nodes import Node

_GRACE = 10.0  # seconds in which the other nodes can hear that the command has ended


@dataclass
class _Other:
    """What node 0 knows of another node."""

    connection: Connection
    finished: int = 0  # tasks
    error: ScasegError | None = None
    is_cause: bool = False  # whether the error is sure to be no consequence of another node's
    is_gone: bool = False


class FirstNode:
    """Node 0's side.

    Args:
        node: this node.
        folder: the run folder of the command.
        says: what the command was started with; the other nodes must say the same.

    Raises:
        ScasegError: the port cannot be used.
    """

    def __init__(self, node: Node, folder: Path, says: Says) -> None:
        self.node, self.folder, self._says = node, folder, says
        self._others: dict[int, _Other] = {}  # by rank
        self._strangers: list[Connection] = []  # connected, and have not said who they are
        self._differs: ScasegError | None = None
        self._called = 0
        self._changed = threading.Condition()
        self._end: dict[str, object] | None = None  # what the others hear when the command ends
        self._ends = False
        self._server = _listening(node)
        self._thread = threading.Thread(target=self._serve, name="scaseg-nodes", daemon=True)
        self._thread.start()

    def gather(self) -> None:
        """Wait until every other node has connected.

        Raises:
            ScasegError: one did not come in time, or was started differently.
        """
        missing = self._missing()
        if missing:
            named = f"node{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
            say(f"waiting for {named} at {self.node.rendezvous}")
        if not self._wait_for(lambda: not self._missing(), self.node.timeout):
            raise ScasegError(
                f"{len(self._others) + 1} of {self.node.count} nodes connected to {self.node.rendezvous} within "
                f"{self.node.timeout} s",
                "Start the same command on the others too, with --node-rank 1 and so on; they must reach port "
                f"{self.node.port} of this machine. To wait longer, raise --timeout.",
            )

    def call(self, task: Task) -> None:
        """Have the other nodes do their part of ``task``.

        Raises:
            ScasegError: a node is missing, was started differently, or has ended.
        """
        self.gather()
        self._called += 1
        self._send_all({"kind": "task", **task})

    def wait_for_parts(self) -> None:
        """Wait until the other nodes have finished their parts of all tasks.

        Raises:
            ScasegError: one of them failed or ended.
        """
        self._wait_for(lambda: all(other.finished == self._called for other in self._known()), None)

    def trouble(self, only_causes: bool = False) -> ScasegError | None:
        """What ended another node, if one has ended.

        Args:
            only_causes: leave out what may be a consequence of this node's own failure.
        """
        with self._changed:
            others = sorted(self._others.items())
            if self._differs is not None:
                return self._differs
            for rank, other in others:
                if other.error is not None and (other.is_cause or not only_causes):
                    return ScasegError(f"node {rank}: {other.error.message}", other.error.hint)
            gone = [rank for rank, other in others if other.is_gone and other.error is None]
        return has_ended(gone[0]) if gone and not only_causes else None

    def free_address(self) -> str:
        """A free port of this machine, under the name that the other nodes know it by."""
        with socket.socket() as listening:
            listening.bind(("", 0))
            return f"{self.node.rendezvous.rpartition(':')[0]}:{listening.getsockname()[1]}"

    def close(self, error: ScasegError | None) -> None:
        """Tell the other nodes that the command has ended, and give them time to hear it.

        Args:
            error: why it failed; None: it succeeded. Nodes that have not come yet are then waited for.
        """
        if error is None and self._missing():
            try:
                self.gather()
            except ScasegError as missing:  # all work is done
                say(f"{missing.message}; there was no work for the others")
        with self._changed:
            end = self._end = {"kind": "end", "error": told(error)}
        self._send_all(end)
        latest = time.monotonic() + _GRACE
        with self._changed:
            while not all(other.is_gone for other in self._known()) and time.monotonic() < latest:
                self._changed.wait(TICK)
        self._ends = True
        self._thread.join()
        self._dismiss_strangers(end)
        self._server.close()
        for other in self._known():
            other.connection.close()

    def _dismiss_strangers(self, end: Mapping[str, object]) -> None:
        """Tell nodes that came while the command ended how it did."""
        with suppress(OSError):  # until none is left
            self._server.setblocking(False)
            while True:
                self._accept()
        for stranger in self._strangers:
            with suppress(OSError):
                if stranger.poll(TICK):
                    received(stranger)  # a connection that is closed with something unread loses what was sent
                send(stranger, end)
            stranger.close()

    def _known(self) -> list[_Other]:
        return list(self._others.values())  # a copy, since the thread adds to them

    def _missing(self) -> list[int]:
        return [rank for rank in range(1, self.node.count) if rank not in self._others]

    def _wait_for(self, is_so: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until ``is_so``; False after ``seconds``.

        Raises:
            ScasegError: another node has ended.
        """
        latest = time.monotonic() + seconds if seconds is not None else None
        while True:
            trouble = self.trouble()
            if trouble is not None:
                raise trouble
            with self._changed:
                if is_so():
                    return True
                if latest is not None and time.monotonic() > latest:
                    return False
                self._changed.wait(TICK)

    def _send_all(self, message: Mapping[str, object]) -> None:
        for other in self._known():
            with suppress(OSError):  # its connection has closed, which `trouble` tells
                send(other.connection, message)

    def _serve(self) -> None:
        """Accept connections and hear messages, in a thread of its own, until the command ends."""
        while not self._ends:
            heard = [other.connection for other in self._known() if not other.is_gone]
            for ready in wait([self._server, *self._strangers, *heard], TICK):
                with self._changed:
                    if ready is self._server:
                        self._accept()
                    elif ready in self._strangers:
                        self._meet(ready)
                    else:
                        self._hear(next(one for one in self._others.values() if one.connection is ready))
                    self._changed.notify_all()

    def _accept(self) -> None:
        self._strangers.append(Connection(kept_alive(self._server.accept()[0]).detach()))

    def _meet(self, stranger: Connection) -> None:
        """Hear who has connected; whoever is not a node of this command is left alone."""
        self._strangers.remove(stranger)
        message = received(stranger)
        rank, says = message.get("rank"), message.get("says")
        if not isinstance(rank, int) or not 0 < rank < self.node.count or not isinstance(says, dict):
            stranger.close()
            return
        if rank in self._others and not self._others[rank].is_gone:
            taken = ScasegError(f"another node has --node-rank {rank} too", "Give each node a rank of its own.")
            with suppress(OSError):
                send(stranger, {"kind": "end", "error": told(taken)})
            stranger.close()
            return
        self._others[rank] = _Other(stranger, self._called)
        if self._end is not None:  # it came too late to be told with the others
            with suppress(OSError):
                send(stranger, self._end)
        for what, own in self._says.items():
            if says.get(what) != own:
                self._differs = ScasegError(f"the nodes have different {what}", "Start the same command on every node.")

    @staticmethod
    def _hear(other: _Other) -> None:
        message = received(other.connection)
        if message.get("kind") == "finished":
            other.finished += 1
        elif message.get("kind") == "left":
            other.error, other.is_cause = error_of(message["error"])
        else:
            other.is_gone = True


def _listening(node: Node) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", node.port), family=family, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ScasegError(
                f"port {node.port} is in use on this machine", "Choose another port in --rendezvous on all nodes."
            ) from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ScasegError(
            f"node 0 cannot listen at port {node.port}: {reason}", "Choose another port in --rendezvous on all nodes."
        ) from error
