"""Runs the command line in this process, and tells whether a folder is as it was."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.cli.app import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def scaseg(capfd: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """Run `scaseg` with these arguments."""
    capfd.readouterr()
    code = main(list(arguments))
    out, err = capfd.readouterr()
    return Outcome(code, out, err)


# Grow or come and go with every command, whatever becomes of it.
_PASSING = (".lock", "log.txt")


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below ``folder``, but for the lock and the log."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in _PASSING)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def assert_nothing_lost(before: dict[str, str], folder: Path) -> None:
    """Every file that was in ``folder`` is there, byte for byte."""
    after = contents(folder)
    lost = {name: "gone" if name not in after else "changed" for name, sha in before.items() if after.get(name) != sha}
    assert not lost
