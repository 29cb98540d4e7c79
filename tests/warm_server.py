"""Forks a process for each program that warm_client.py asks for; see warm_python.py."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from typing import Any

_PRELOADED = (
    "scaseg_cli.cli.app",
    "scaseg_cli.ablations.ablate",
    "scaseg_cli.base.train",
    "scaseg_cli.base.hosts.panoptic",
    "scaseg_cli.base.hosts.semantic",
    "scaseg_cli.evaluation.evaluate",
    "scaseg_cli.launch.launcher",
    "scaseg_cli.pipeline",
    "scaseg_cli.shapes.clip",
    "torch._dynamo",  # imported by the first optimizer
    "torch.utils.tensorboard",
)
_LENGTH = 16  # of what is told about a process


def serve(listener: socket.socket, alive: int) -> None:
    """Fork for each request until the tests end."""
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    while not _is_ready(alive, listener.fileno()):
        connection, _ = listener.accept()
        content, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if content and os.fork() == 0:
            listener.close()
            os.close(alive)
            _follow(json.loads(content), files, connection)
            return
        connection.close()
        for number in files:
            os.close(number)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _is_ready(number: int, other: int) -> bool:
    """Wait until either file can be read; whether the first one can."""
    return number in select.select([number, other], [], [])[0]


def _follow(request: dict[str, Any], files: list[int], connection: socket.socket) -> None:
    """Fork the program; tell its number and exit code; kill it when the client is killed. In its process, run it."""
    number = os.fork()
    if number == 0:
        connection.close()
        _become(request, files)
        return
    for file in files:
        os.close(file)
    ended = os.pidfd_open(number)
    with contextlib.suppress(BrokenPipeError):
        connection.send(str(number).encode())
        if not _is_ready(ended, connection.fileno()):  # the client has ended: it says nothing more
            os.kill(number, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.send(str(code).encode())
    os._exit(0)


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Make this process what the client stands for, and run the program."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, standard in zip(files, (0, 1, 2), strict=True):
        os.dup2(number, standard)
        os.close(number)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for number in request["signals"]:  # the server ignores some where the tests are a shell's background job
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else usual)
    sys.executable = request["executable"]
    sys.argv = [request["module"], *request["arguments"]]
    sys.path[0] = ""  # as with -m, in place of the server's folder
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    if death := os.environ.pop("WARM_DEATH", None):
        sys.addaudithook(_Death(*json.loads(death)))
    _end(_run(request["module"]))


def _run(module: str) -> int | str | None:
    """Run the program; return what it ends with."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code
    return None


def _end(code: int | str | None) -> None:
    """End as Python does, but leave the modules: to take them down would copy all that is shared with the server."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):  # Python says what it says
        sys.exit(code)
    if isinstance(code, str):
        sys.exit(code)
    os._exit(code or 0)


class _Death:
    """An audit hook that kills this process at a moment of its work with files, whatever the machine's speed.

    Args:
        place: a path.
        number: SIGKILL just before the process opens, moves, removes or makes something at or below ``place`` for the
            so many-th time.
    """

    _EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"})

    def __init__(self, place: str, number: int) -> None:
        self.place, self.left = place, number

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in self._EVENTS or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(os.fspath(arguments[0]))
        if path == self.place or path.startswith(f"{self.place}/"):
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
