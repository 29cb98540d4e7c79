"""How many cases the fuzzing runs, and what it reports.

`make test` runs a few cases of each kind, the same ones every time. `make fuzz` sets SCASEG_FUZZ_CASES, the number over
all kinds, and limits the CPU time of a case.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules here that are no tests

from cases import COUNTS

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths in mutated files lead nowhere."""
    monkeypatch.chdir(tmp_path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["cases"] = dict(COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the cases of a process of pytest-xdist."""
    COUNTS.update(getattr(node, "workeroutput", {}).get("cases", {}))


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    if COUNTS and "SCASEG_FUZZ_CASES" in os.environ:
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(COUNTS.items()))
        terminalreporter.write_line(f"cases: {counts}; {sum(COUNTS.values())} in all")
