"""Keeps stdout for the command's own result, whatever libraries print, and puts the result there."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """While the block runs, all that is written to stdout lands on stderr instead.

    This holds for `print`, for loggers that libraries open on ``sys.stdout``, for compiled code, and for child
    processes, since the file descriptor itself is redirected.
    """
    with contextlib.ExitStack() as undo:
        sys.stdout.flush()
        with contextlib.suppress(OSError):  # one of them was closed by whoever started us: nothing to redirect then
            saved = os.dup(1)
            undo.callback(os.close, saved)
            os.dup2(2, 1)
            undo.callback(os.dup2, saved, 1)
        undo.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def print_json(value: Any) -> None:
    """Print ``value`` as the one JSON document on stdout."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
