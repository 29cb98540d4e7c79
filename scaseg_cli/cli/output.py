"""Reserves stdout for the command's result, whatever libraries print."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from scaseg_cli.results.printable import printable_json


@contextlib.contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """Redirect stdout to stderr while the block runs.

    The file descriptor itself is redirected, which covers `print`, loggers of libraries on ``sys.stdout``, compiled
    code and child processes.
    """
    with contextlib.ExitStack() as undo:
        sys.stdout.flush()
        with contextlib.suppress(OSError):  # the caller closed one of them; then there is nothing to redirect
            saved = os.dup(1)
            undo.callback(os.close, saved)
            os.dup2(2, 1)
            undo.callback(os.dup2, saved, 1)
        undo.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def print_json(value: Any) -> None:
    """Print ``value`` as a JSON document on stdout.

    Characters that could act on a terminal, which JSON may hold as they are, are escaped.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    print(printable_json(text))
