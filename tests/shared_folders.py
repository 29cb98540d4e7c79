"""Folders that take long to make: one process of a test session makes each, and every process gets its own copy."""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def shared_folder(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy of the folder that ``make`` fills.

    Args:
        factory: pytest's fixture tmp_path_factory.
        name: of the folder, for all processes of the session.
        make: fills an empty folder; called by the process that comes first. The others wait.
    """
    session = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent  # of all workers
    made, unfinished = session / f"shared-{name}", session / f"unfinished-{name}"
    with open(session / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(unfinished, ignore_errors=True)  # of a process that failed
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(made)
    own = factory.mktemp(name) / "own"
    shutil.copytree(made, own)
    return own
