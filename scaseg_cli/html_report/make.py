"""`scaseg report`: from run folders to one HTML file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.comparison.seed_runs import SeedRuns, alone, by_recipe, seed_table
from scaseg_cli.comparison.side_by_side import Comparison, compare
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import write_text
from scaseg_cli.html_report.content import Content, gather
from scaseg_cli.html_report.page import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.comparison.finished_run import FinishedRun
    from scaseg_cli.results.table import Table


@dataclass(frozen=True)
class PageOutcome:
    """The outcome of `make_report`.

    Attributes:
        path: path of the page.
        contents: content of each run.
        comparisons: one for each task that several runs have.
        means: the result table of each recipe that several seeds have run.
    """

    path: Path
    contents: list[Content]
    comparisons: list[Comparison]
    means: list[Table]

    def as_json_value(self) -> dict[str, Any]:
        """Return the path and the numbers that the page shows."""
        return {
            "path": str(self.path),
            "bytes": self.path.stat().st_size,
            "runs": [content.as_json_value() for content in self.contents],
            "comparisons": [comparison.as_json_value() for comparison in self.comparisons],
            "means": [table.as_json_value() for table in self.means],
        }


def make_report(runs: Sequence[FinishedRun], output: Path, images: int) -> PageOutcome:
    """Gather the content of each run and write the page atomically.

    Args:
        runs: the runs in the page's order.
        output: the HTML file.
        images: maximum number of validation images that the frozen network segments; 0 disables the survey.

    Raises:
        ScasegError: the file cannot be written.
    """
    _check(output)
    contents = [gather(run, images) for run in runs]
    groups = by_recipe(runs)
    comparisons = _compared(runs, groups)
    means = [seed_table(group) for group in groups if len(group.runs) > 1]
    write_text(output, render(contents, comparisons, means))
    return PageOutcome(output, contents, comparisons, means)


def _compared(runs: Sequence[FinishedRun], groups: Sequence[SeedRuns]) -> list[Comparison]:
    """The recipes of each task side by side, their seeds as means; of a task with one recipe, its seeds."""
    found = compare(groups)
    tasks = {comparison.name for comparison in found}
    return found + compare([alone(run) for run in runs if run.task.name not in tasks])


def _check(output: Path) -> None:
    """Check before the work that the page can be written."""
    if output.is_dir():
        raise ScasegError(f"{output} is a folder", "Name a file, such as -o report.html.")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ScasegError(f"cannot write {output}: {folder} is not a writable folder", "Choose another file with -o.")
