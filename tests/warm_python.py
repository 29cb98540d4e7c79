"""A Python whose programs of scaseg start with torch and the network already imported.

Importing them takes most of the CPU time of a short command. A server (warm_server.py) imports them once and forks for
each `-m scaseg_cli...`, of a test or of a command that it runs: workers, their launcher, jobs. What a test starts is
a process of its own (warm_client.py), which passes signals on and ends as the forked one does; killed, it takes that
one with it. Only the import is not repeated. All other programs run in Python as it is.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

PYTHON = sys.executable  # without anything imported
_HERE = Path(__file__).parent


@cache
def warm_python() -> str:
    """The path of this Python's executable; its server ends with this process."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    address, program = Path(folder.name, "socket"), Path(folder.name, "python")
    client = (_HERE / "warm_client.py").read_text(encoding="utf-8")
    constants = f"PYTHON = {PYTHON!r}\nSOCKET = {str(address)!r}\n"
    program.write_text(f"#!{PYTHON} -IS\n{constants}{client}", encoding="utf-8")
    program.chmod(0o755)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(address))
    listener.listen(64)
    alive, ours = os.pipe()  # the server ends when `ours` is closed
    server = subprocess.Popen(
        [PYTHON, str(_HERE / "warm_server.py"), str(listener.fileno()), str(alive)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[listener.fileno(), alive],
        # without NVML, asking whether there is a GPU would make CUDA unusable in what is forked
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
    )
    listener.close()
    os.close(alive)

    def end() -> None:
        os.close(ours)
        server.wait()
        folder.cleanup()

    atexit.register(end)
    return str(program)
