"""Fixture for run folders as a finished evaluation leaves them, with tables and records only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from report_runs import write_run

from scaseg_cli.html_report.finished_run import FinishedRun, open_run
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., FinishedRun]


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    """Make a run folder ``name`` and open it.

    ``changes`` apply to the recipe; ``main`` has three figures per main row, and ``by_class`` one per class.
    """

    def make(
        name: str = "one",
        changes: tuple[str, ...] = (),
        main: dict[str, tuple[float, float, float]] | None = None,
        by_class: tuple[float | None, ...] = (0.5, 0.25, 0.125, None),
        recipe: str = "shapes-zps",
    ) -> FinishedRun:
        run, made_with = RunDir(tmp_path / name), load_recipe(recipe, changes)
        write_run(run, made_with, main, by_class)
        return open_run(name, run.path, made_with)

    return make
