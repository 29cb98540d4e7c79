"""The build of an earlier commit, against which whole commands are timed."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
EARLIER = "0b2d4c7"


def earlier_build(folder: Path) -> Path:
    """Write the files of the earlier commit into ``folder``, and return it.

    Raises:
        ScasegError: this is no clone, or its history lacks the commit.
    """
    done = subprocess.run(["git", "-C", str(ROOT), "archive", EARLIER], capture_output=True, check=False)
    if done.returncode:
        raise ScasegError(
            f"git cannot read the commit {EARLIER}: {done.stderr.decode(errors='replace').strip()}",
            "Run this benchmark in a clone with its history: git fetch --unshallow",
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@contextmanager
def using(build: Path) -> Iterator[None]:
    """Let processes that are started in the block import ``build``."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(build), str(build / "benchmarks")])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
