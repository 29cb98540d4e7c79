"""The side of a node other than node 0: it takes part in the tasks that node 0 names, until the command ends."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, cast

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.messages import TICK, Says, Task, error_of, has_ended, kept_alive, received, send, told

if TYPE_CHECKING:
    from scaseg_cli.launch.nodes import Node


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
        send(self._connection, {"kind": "hello", "rank": node.rank, "says": says})
        self._thread = threading.Thread(target=self._listen, name="scaseg-node-0", daemon=True)
        self._thread.start()

    def next_task(self) -> Task | None:
        """Wait for the next task; None: the command has ended well.

        Raises:
            ScasegError: node 0 failed, or its command has ended in another way.
        """
        with self._changed:
            while not self._tasks and self._end is None:
                self._changed.wait(TICK)
            if self._tasks:
                return self._tasks.pop(0)
        trouble = self.trouble()
        if trouble is not None:
            raise trouble
        return None

    def report_done(self) -> None:
        """Tell node 0 that this node's part of the task is done."""
        with suppress(OSError):  # node 0 has ended, which `next_task` tells
            send(self._connection, {"kind": "finished"})

    def trouble(self, only_causes: bool = False) -> ScasegError | None:
        """What ended node 0, if it has ended badly.

        Args:
            only_causes: leave out what may be a consequence of this node's own failure.
        """
        with self._changed:
            end = self._end
        if end == {}:
            return None if only_causes else has_ended(0)
        if end is None or end["error"] is None:
            return None
        error, is_cause = error_of(end["error"])
        return ScasegError(f"node 0: {error.message}", error.hint) if is_cause or not only_causes else None

    def close(self, error: ScasegError | None) -> None:
        """Close the connection; ``error`` tells node 0 why, if the command failed."""
        if error is not None:
            with suppress(OSError):
                send(self._connection, {"kind": "left", "error": told(error)})
        self._closes = True
        self._thread.join()
        self._connection.close()

    def _listen(self) -> None:
        while not self._closes and self._end is None:
            if not self._connection.poll(TICK):
                continue
            message = received(self._connection)
            with self._changed:
                if message.pop("kind", None) == "task":
                    self._tasks.append(cast("Task", message))
                else:
                    self._end = message  # empty: the connection has closed
                self._changed.notify_all()


def _connected(node: Node) -> Connection:
    latest = time.monotonic() + node.timeout
    while True:
        try:
            found = socket.create_connection((node.host, node.port), timeout=max(1.0, 10 * TICK))
        except OSError:
            if time.monotonic() > latest:
                raise ScasegError(
                    f"no node answered at {node.rendezvous} within {node.timeout} s",
                    f"Start node 0 on {node.host} with the same --rendezvous, or correct the address; this machine "
                    "must reach it. To wait longer, raise --timeout.",
                ) from None
            time.sleep(TICK)
        else:
            found.settimeout(None)
            return Connection(kept_alive(found).detach())
