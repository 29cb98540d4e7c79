"""The work of one job: a stage of one cell, or a stage of all cells that share a base model, in one pass for all.

Cells fail one by one: the failure of a cell is kept for the table, and the other cells continue.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli import pipeline
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.console import logging_to, say_plainly, say_to_log
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from pathlib import Path

RecipeRun = tuple[Recipe, RunDir]


@dataclass(frozen=True)
class Failure:
    """Why a cell has no figures.

    Attributes:
        reason: the reason as text.
        log: path of the log with the details.
    """

    reason: str
    log: Path


def run_stage_job(stage: str, cells: Sequence[RecipeRun], log: Path) -> dict[Path, Failure]:
    """Run ``stage`` of ``cells``; messages also go to ``log``.

    Args:
        stage: the stage's name.
        cells: recipes and run folders; for ``union`` and ``evaluation`` they share a base model.
        log: path of the log, in an existing folder.

    Returns:
        The failures by run folder.
    """
    with logging_to(log):
        try:
            outcomes = _STEPS[stage](cells)
        except Exception as error:  # in something that all cells need; other jobs continue
            outcomes = [error] * len(cells)
        failures = {}
        for (_, run), outcome in zip(cells, outcomes, strict=True):
            if isinstance(outcome, Exception):
                failures[run.path] = Failure(_in_words(outcome), log)
                _report_error(stage, outcome)
    return failures


def _in_words(error: Exception) -> str:
    if isinstance(error, ScasegError):
        return error.message
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"


def _report_error(stage: str, error: Exception) -> None:
    """Print the error in one line, and write the details to the log."""
    say_plainly(f"{stage} failed: {_in_words(error)}")
    if isinstance(error, ScasegError):
        say_to_log(error.hint or "")
    else:
        say_to_log("".join(traceback.format_exception(error)).rstrip())


Step = Callable[[Sequence[RecipeRun]], Sequence[StageReport | Exception]]


def _make_world(cells: Sequence[RecipeRun]) -> list[StageReport | Exception]:
    from scaseg_cli.split.sources import make_embedded_world

    ((recipe, run),) = cells
    make_embedded_world(recipe, run)
    return [StageReport("data")]


def _alone(stage: str) -> Step:
    def step(cells: Sequence[RecipeRun]) -> list[StageReport | Exception]:
        ((recipe, run),) = cells
        return [pipeline.STEPS[stage](recipe, run)]

    return step


def _finetune(cells: Sequence[RecipeRun]) -> Sequence[StageReport | Exception]:
    from scaseg_cli.union.finetune import union_finetune_all

    return union_finetune_all(cells)


def _evaluate(cells: Sequence[RecipeRun]) -> Sequence[StageReport | Exception]:
    from scaseg_cli.evaluation.evaluate import evaluate_all

    return evaluate_all(cells)


_STEPS: dict[str, Step] = {
    "data": _make_world,
    **{stage: _alone(stage) for stage in ("split", "embeddings", "base", "queries", "folds", "choose", "cat")},
    "union": _finetune,
    "evaluation": _evaluate,
}
