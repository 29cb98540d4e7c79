# Stands for Python in tests. warm_python.py puts a first line and the constants PYTHON and SOCKET above this text.
# It runs without site packages, so that it starts at once.
import json
import os
import signal
import socket
import sys

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def main(python: str, address: str) -> None:
    words = sys.argv[1:]
    if words[:1] != ["-m"] or words[1].partition(".")[0] != "scaseg_cli":
        os.execv(python, [python, *words])
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(address)
    numbers = [signal.Signals[name] for name in _FORWARDED]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    request = {
        "module": words[1],
        "arguments": words[2:],
        "folder": os.getcwd(),
        "env": dict(os.environ),
        "signals": numbers,
        "ignored": ignored,
        "executable": sys.argv[0],
    }
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    process = int(connection.recv(16))
    for number in numbers:
        if number not in ignored:
            signal.signal(number, lambda number, _: os.kill(process, number))
    code = int(connection.recv(16))
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main(PYTHON, SOCKET)  # type: ignore[name-defined]  # noqa: F821
