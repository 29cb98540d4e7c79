"""Fixtures of the command-line tests, which call `scaseg` in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from scaseg_cli.cli.app import main


class Outcome(NamedTuple):
    """The exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture
def scaseg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call `scaseg` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Outcome:
        code = main(list(arguments))
        return Outcome(code, *capsys.readouterr())

    return call
