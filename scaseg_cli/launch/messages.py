"""Messages between the nodes of a command: JSON over a connection that says when the other machine is gone."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any, TypedDict

from scaseg_cli.errors import ScasegError
from scaseg_cli.launch.listener import WorkersFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

Says = dict[str, str]  # what a node was started with, by what it is called in the error
TICK = 0.2  # seconds between looks for a new connection or the end
_LONGEST = 2**20  # bytes of a message
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


def has_ended(rank: int) -> ScasegError:
    return ScasegError(f"node {rank} has ended", "See its output. The same command on all nodes resumes.")


def told(error: ScasegError | None) -> dict[str, object] | None:
    """An error as a message holds it."""
    if error is None:
        return None
    is_cause = not isinstance(error, WorkersFailed) or error.is_cause
    return {"message": error.message, "hint": error.hint, "is_cause": is_cause}


def error_of(told: dict[str, Any]) -> tuple[ScasegError, bool]:
    """The error of a message, and whether it is sure to be no consequence of another node's."""
    return ScasegError(told["message"], told["hint"]), told["is_cause"]


def kept_alive(connection: socket.socket) -> socket.socket:
    """Have the system ask whether the other machine is still there, which one without power does not say."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)  # whoever sends half a message
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def send(connection: Connection, message: Mapping[str, object]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def received(connection: Connection) -> dict[str, Any]:
    """The next message; empty if the connection has closed, or holds something else."""
    try:
        found = json.loads(connection.recv_bytes(_LONGEST))
    except (OSError, EOFError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
