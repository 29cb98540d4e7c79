"""`python -m scaseg_cli` in processes that start with torch and the network already imported.

Importing them takes most of the CPU time of a short command. A server imports them once and forks for each command.
Each command is a process of its own, in a session of its own; only the import is not repeated. The same holds for the
processes that it starts with `python -m`: workers, their launcher, and jobs. Their command lines in /proc are the
server's; tests that look for processes by name start a new Python instead.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
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
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PRELOADED = (
    "scaseg_cli.cli.app",
    "scaseg_cli.ablations.ablate",
    "scaseg_cli.base.train",
    "scaseg_cli.base.hosts.panoptic",
    "scaseg_cli.evaluation.evaluate",
    "scaseg_cli.pipeline",
    "scaseg_cli.launch.worker",
    "torch.distributed.run",
    "torch._dynamo",  # imported by the first optimizer
    "torch.utils.tensorboard",
)
_LENGTH = 16  # of what is told about a process


class WarmCommand:
    """A running command; its methods are those of `subprocess.Popen`.

    Attributes:
        pid: of the process.
        returncode: negative for a signal; None while it is running.
    """

    def __init__(self, folder: Path, arguments: tuple[str, ...], stderr: Path) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._stdout, stdout = os.pipe()
        self._status, status = os.pipe()
        told = os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        request = {"arguments": arguments, "folder": str(folder), "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
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
    _popen._fork_exec = _fork_module
    runpy.run_module("scaseg_cli", run_name="__main__", alter_sys=True)


_popen: Any = subprocess
_fork_exec: Callable[..., int] = _popen._fork_exec  # what Popen calls
_inherited: dict[str, Any] = {}


def _fork_module(*given: Any) -> int:
    """Fork for `python -m`, and execute any other program; returns the process's number."""
    words = [os.fsdecode(word) for word in given[0]]
    if words[0] != sys.executable or "-m" not in words[:3]:
        return _fork_exec(*given)
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        code = contextvars.Context().run(_run_module, words[words.index("-m") + 1 :], given)
    finally:  # nothing of the parent's frames may go on here
        os._exit(code)


def _run_module(words: list[str], given: tuple[Any, ...]) -> int:
    """In a process forked from a command: become what Popen was asked for, and run a module; returns the exit code."""
    gc.freeze()
    _, _, _, kept, folder, env, stdin, _, _, stdout, _, stderr, _, ready, _, session, *_, before, _ = given
    atexit._clear()
    for name in ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if callable(signal.getsignal(signal.Signals[name])):  # what is ignored stays so
            signal.signal(signal.Signals[name], signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if session:
        os.setsid()
    if before is not None:
        before()
    for number, standard in ((stdin, 0), (stdout, 1), (stderr, 2)):
        if number != -1:
            os.dup2(number, standard)
    os.close(ready)  # which tells Popen that it has started
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)
    if folder is not None:
        os.chdir(folder)
    if env is not None:
        os.environ.clear()
        for line in env:
            name, _, value = os.fsdecode(line).partition("=")
            os.environ[name] = value
    sys.stdout, sys.stderr = (open(number, "w", buffering=1) for number in (1, 2))  # noqa: SIM115  # until it ends
    sys.argv = words
    # The package begins anew, without what the command has set in it; what that holds open must not be closed.
    _inherited.update({name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "scaseg_cli"})
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
