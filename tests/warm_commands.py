"""`python -m scaseg_cli` in processes that start with torch and the network already imported.

Importing them takes most of the CPU time of a short command. A server imports them once and forks for each command.
Each command is a process of its own, in a session of its own; only the import is not repeated.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_PRELOADED = (
    "scaseg_cli.cli.app",
    "scaseg_cli.ablations.ablate",
    "scaseg_cli.base.train",
    "scaseg_cli.base.hosts.panoptic",
    "scaseg_cli.evaluation.evaluate",
    "scaseg_cli.pipeline",
    "open_clip",
    "torch._dynamo",  # imported by the first optimizer
    "torch.utils.tensorboard",
)
_LENGTH = 16  # of what is told about a process


class WarmCommand:
    """A running command; its methods are those of `subprocess.Popen`.

    Args:
        folder: where it runs.
        arguments: of `scaseg`.
        stderr: the file that takes what it writes there.
        death: a path and a number: SIGKILL just before the command opens, moves, removes or makes something at or below
            the path for the so many-th time.

    Attributes:
        pid: of the process.
        returncode: negative for a signal; None while it is running.
    """

    def __init__(
        self, folder: Path, arguments: tuple[str, ...], stderr: Path, death: tuple[Path, int] | None = None
    ) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._stdout, stdout = os.pipe()
        self._status, status = os.pipe()
        told = os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        request: dict[str, Any] = {"arguments": arguments, "folder": str(folder), "env": env, "death": None}
        if death is not None:
            request["death"] = [str(death[0].absolute()), death[1]]
        socket.send_fds(_server(), [json.dumps(request).encode()], [stdout, told, status])
        for number in (stdout, told, status):
            os.close(number)
        self.pid = int(self._line(None))

    def _line(self, timeout: float | None) -> str:
        """The next line about the process: its number, then its exit code."""
        if not select.select([self._status], [], [], timeout)[0]:
            return ""
        line = os.read(self._status, _LENGTH)
        assert line, "the server for commands has ended"
        return line.decode()

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        if self.returncode is None and (line := self._line(0)):
            self.returncode = int(line)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal if it is still running."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for the end; returns all of stdout. Processes that it started may hold stdout open, and are waited for.

        Raises:
            subprocess.TimeoutExpired: it takes longer than ``timeout`` seconds.
        """
        latest, out = time.monotonic() + (timeout or 1e9), b""
        while select.select([self._stdout], [], [], max(latest - time.monotonic(), 0))[0]:
            more = os.read(self._stdout, 1 << 16)
            if not more:
                break
            out += more
        else:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        os.close(self._stdout)
        if self.returncode is None:
            self.returncode = int(self._line(None))
        os.close(self._status)
        return out.decode(), None


@cache
def _server() -> socket.socket:
    """Where to send requests; the server ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the server
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        pass_fds=[theirs.fileno()],
        # without NVML, asking whether there is a GPU would make CUDA unusable in what is forked
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork for each request until nobody is left to send one."""
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    while True:
        content, files, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not content:
            break
        if os.fork() == 0:
            requests.close()
            _follow(json.loads(content), *files)
            return
        for number in files:
            os.close(number)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def _follow(request: dict[str, Any], stdout: int, stderr: int, status: int) -> None:
    """Start the command, tell its number and its exit code, and end; in the command's process, carry it out."""
    number = os.fork()
    if number == 0:
        os.close(status)
        _become(request, stdout, stderr)
        return
    os.close(stdout)
    os.close(stderr)
    os.write(status, str(number).ljust(_LENGTH).encode())
    _, code = os.waitpid(number, 0)
    os.write(status, str(os.waitstatus_to_exitcode(code)).ljust(_LENGTH).encode())
    os._exit(0)


def _become(request: dict[str, Any], stdout: int, stderr: int) -> None:
    """Make this process what a shell would have started, and carry the command out."""
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, standard in ((stdout, 1), (stderr, 2)):
        os.dup2(number, standard)
        os.close(number)
    sys.argv = ["scaseg", *request["arguments"]]
    sys.path[0] = ""  # as with -m, in place of the server's folder
    if request["death"] is not None:
        sys.addaudithook(_Death(*request["death"]))
    runpy.run_module("scaseg_cli", run_name="__main__", alter_sys=True)


class _Death:
    """An audit hook that kills this process at a moment of its work with files, whatever the machine's speed."""

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
    _serve(socket.socket(fileno=int(sys.argv[1])))
