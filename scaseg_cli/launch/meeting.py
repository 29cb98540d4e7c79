"""How the nodes of a command work together: node 0 names each task, and every node does its part of it.

Node 0 listens at the rendezvous while its command runs. Each other node connects, says what it was started with, and
waits for tasks; it knows nothing of stages. A connection that closes is a command that ended, so that no node waits for
one that is gone. Messages are JSON.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypedDict, cast

from scaseg_cli.errors import ScasegError, explained
from scaseg_cli.launch.listener import WorkersFailed
from scaseg_cli.results.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from scaseg_cli.launch.nodes import Node

Says = dict[str, str]  # what a node was started with, by what it is called in the error
_LONGEST = 2**20  # bytes of a message
_TICK = 0.2  # seconds between looks for a new connection or the end
_GRACE = 10.0  # seconds in which the other nodes can hear that the command has ended
_PATIENCE = struct.pack("ll", 5, 0)  # seconds and microseconds for the rest of a message
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}  # seconds, seconds, probes


class Task(TypedDict):
    """Work that every node divides among its processes.

    Attributes:
        recipe: the recipe, as YAML.
        folder: the run folder, relative to that of the command.
        processes: processes on each node.
        target: ``package.module:function`` that each process calls.
        stage: the stage that it belongs to.
        modules: names of modules that the processes need besides the target's.
        address: HOST:PORT at which the processes of all nodes join in one world; empty: each does a part of its own.
    """

    recipe: str
    folder: str
    processes: int
    target: str
    stage: str
    modules: list[str]
    address: str


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
        return _has_ended(gone[0]) if gone and not only_causes else None

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
        self._send_all({"kind": "end", "error": _told(error)})
        latest = time.monotonic() + _GRACE
        with self._changed:
            while not all(other.is_gone for other in self._known()) and time.monotonic() < latest:
                self._changed.wait(_TICK)
        self._ends = True
        self._thread.join()
        self._server.close()
        for connection in (*self._strangers, *(other.connection for other in self._known())):
            connection.close()

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
                self._changed.wait(_TICK)

    def _send_all(self, message: Mapping[str, object]) -> None:
        for other in self._known():
            with suppress(OSError):  # its connection has closed, which `trouble` tells
                _send(other.connection, message)

    def _serve(self) -> None:
        """Accept connections and hear messages, in a thread of its own, until the command ends."""
        while not self._ends:
            heard = [other.connection for other in self._known() if not other.is_gone]
            for ready in wait([self._server, *self._strangers, *heard], _TICK):
                with self._changed:
                    if ready is self._server:
                        self._strangers.append(Connection(_kept_alive(self._server.accept()[0]).detach()))
                    elif ready in self._strangers:
                        self._meet(ready)
                    else:
                        self._hear(next(one for one in self._others.values() if one.connection is ready))
                    self._changed.notify_all()

    def _meet(self, stranger: Connection) -> None:
        """Hear who has connected; whoever is not a node of this command is left alone."""
        self._strangers.remove(stranger)
        message = _received(stranger)
        rank, says = message.get("rank"), message.get("says")
        if not isinstance(rank, int) or not 0 < rank < self.node.count or not isinstance(says, dict):
            stranger.close()
            return
        if rank in self._others and not self._others[rank].is_gone:
            taken = ScasegError(f"another node has --node-rank {rank} too", "Give each node a rank of its own.")
            with suppress(OSError):
                _send(stranger, {"kind": "end", "error": _told(taken)})
            stranger.close()
            return
        self._others[rank] = _Other(stranger, self._called)
        for what, own in self._says.items():
            if says.get(what) != own:
                self._differs = ScasegError(f"the nodes have different {what}", "Start the same command on every node.")

    @staticmethod
    def _hear(other: _Other) -> None:
        message = _received(other.connection)
        if message.get("kind") == "finished":
            other.finished += 1
        elif message.get("kind") == "left":
            other.error, other.is_cause = _error(message["error"])
        else:
            other.is_gone = True


class OtherNode:
    """The side of a node other than node 0.

    Args:
        node: this node.
        says: what the command was started with.

    Raises:
        ScasegError: nobody answered at the rendezvous in time.
    """

    def __init__(self, node: Node, says: Says) -> None:
        self.node = node
        self._connection = _connected(node)
        self._tasks: list[Task] = []
        self._end: dict[str, Any] | None = None
        self._changed = threading.Condition()
        self._closes = False
        _send(self._connection, {"kind": "hello", "rank": node.rank, "says": says})
        self._thread = threading.Thread(target=self._listen, name="scaseg-node-0", daemon=True)
        self._thread.start()

    def next_task(self) -> Task | None:
        """Wait for the next task; None: the command has ended well.

        Raises:
            ScasegError: node 0 failed, or its command has ended in another way.
        """
        with self._changed:
            while not self._tasks and self._end is None:
                self._changed.wait(_TICK)
            if self._tasks:
                return self._tasks.pop(0)
        trouble = self.trouble()
        if trouble is not None:
            raise trouble
        return None

    def report_done(self) -> None:
        """Tell node 0 that this node's part of the task is done."""
        with suppress(OSError):  # node 0 has ended, which `next_task` tells
            _send(self._connection, {"kind": "finished"})

    def trouble(self, only_causes: bool = False) -> ScasegError | None:
        """What ended node 0, if it has ended badly.

        Args:
            only_causes: leave out what may be a consequence of this node's own failure.
        """
        with self._changed:
            end = self._end
        if end == {}:
            return None if only_causes else _has_ended(0)
        if end is None or end["error"] is None:
            return None
        error, is_cause = _error(end["error"])
        return ScasegError(f"node 0: {error.message}", error.hint) if is_cause or not only_causes else None

    def close(self, error: ScasegError | None) -> None:
        """Close the connection; ``error`` tells node 0 why, if the command failed."""
        if error is not None:
            with suppress(OSError):
                _send(self._connection, {"kind": "left", "error": _told(error)})
        self._closes = True
        self._thread.join()
        self._connection.close()

    def _listen(self) -> None:
        while not self._closes and self._end is None:
            if not self._connection.poll(_TICK):
                continue
            message = _received(self._connection)
            with self._changed:
                if message.pop("kind", None) == "task":
                    self._tasks.append(cast("Task", message))
                else:
                    self._end = message  # empty: the connection has closed
                self._changed.notify_all()


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


def _connected(node: Node) -> Connection:
    latest = time.monotonic() + node.timeout
    while True:
        try:
            found = socket.create_connection((node.host, node.port), timeout=max(1.0, 10 * _TICK))
        except OSError:
            if time.monotonic() > latest:
                raise ScasegError(
                    f"no node answered at {node.rendezvous} within {node.timeout} s",
                    f"Start node 0 on {node.host} with the same --rendezvous, or correct the address; this machine "
                    "must reach it. To wait longer, raise --timeout.",
                ) from None
            time.sleep(_TICK)
        else:
            found.settimeout(None)
            return Connection(_kept_alive(found).detach())


def _has_ended(rank: int) -> ScasegError:
    return ScasegError(f"node {rank} has ended", "See its output. The same command on all nodes resumes.")


def _told(error: ScasegError | None) -> dict[str, object] | None:
    """An error as a message holds it."""
    if error is None:
        return None
    is_cause = not isinstance(error, WorkersFailed) or error.is_cause
    return {"message": error.message, "hint": error.hint, "is_cause": is_cause}


def _error(told: dict[str, Any]) -> tuple[ScasegError, bool]:
    """The error of a message, and whether it is sure to be no consequence of another node's."""
    return ScasegError(told["message"], told["hint"]), told["is_cause"]


def _kept_alive(connection: socket.socket) -> socket.socket:
    """Have the system ask whether the other machine is still there, which one without power does not say."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)  # whoever sends half a message
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _send(connection: Connection, message: Mapping[str, object]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def _received(connection: Connection) -> dict[str, Any]:
    """The next message; empty if the connection has closed, or holds something else."""
    try:
        found = json.loads(connection.recv_bytes(_LONGEST))
    except (OSError, EOFError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
