"""Several runs at once: each does its own work, and what all of them need of the network is one pass.

The work of a run is a generator. It yields once: what it wants of the pass. It is sent what came of it, and returns
its report. So the code of one run reads from top to bottom, and a command is the case of one cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TypeVar

from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import stage_key

RecipeRun = tuple[Recipe, RunDir]
ReportOrError = StageReport | Exception
Asked = TypeVar("Asked")
Got = TypeVar("Got")
# What is sent: what came of the pass, and the seconds since the yield that were other runs' work.
Work = Generator[Asked, tuple[Got, float], StageReport]
SHARED = ("split", "base")


def check_cells(cells: Sequence[RecipeRun]) -> None:
    """Go on only if the cells can share a pass of the network.

    Raises:
        ValueError: there is none, two have one run folder, or they have other data, splits or base models.
    """
    if not cells:
        raise ValueError("no cell is given")
    if len({run.path.resolve() for _, run in cells}) < len(cells):
        raise ValueError(f"two cells have one run folder: {[str(run.path) for _, run in cells]}")
    for stage in SHARED:
        if len({stage_key(recipe, stage) for recipe, _ in cells}) > 1:
            raise ValueError(f"the cells differ in the {stage} stage: {[str(run.path) for _, run in cells]}")


def share_pass(
    works: Sequence[Work[Asked, Got]], one_pass: Callable[[list[tuple[int, Asked]]], list[Got]]
) -> list[ReportOrError]:
    """Let every work run, with one pass for all.

    Args:
        works: one a cell.
        one_pass: is given the places among ``works`` of those that got so far, with what each wants; returns what
            came of it, in the same order. Not called where none got so far.

    Returns:
        By cell, the report, or the error with which that cell's own work ended: it stops no other.

    Raises:
        Exception: of the pass itself, which all cells need; each work meets it too, and can put things right.
    """
    outcomes: dict[int, ReportOrError] = {}
    asked: dict[int, Asked] = {}
    since: dict[int, float] = {}
    try:
        for place, work in enumerate(works):
            try:
                asked[place] = next(work)
                since[place] = time.monotonic()
            except Exception as error:
                outcomes[place] = error
        started = time.monotonic()
        answers = one_pass(list(asked.items())) if asked else []
        share = (time.monotonic() - started) / max(1, len(asked))
        for place, answer in zip(asked, answers, strict=True):
            outcomes[place] = _ended(works[place], answer, time.monotonic() - since[place] - share)
    except BaseException as error:
        for work in works:
            with suppress(BaseException):  # it is raised below
                work.throw(error)
        raise
    return [outcomes[place] for place in range(len(works))]


def _ended(work: Work[Asked, Got], answer: Got, waited: float) -> ReportOrError:
    try:
        work.send((answer, waited))
    except StopIteration as ended:
        return ended.value
    except Exception as error:
        return error
    raise AssertionError("a run's work yields once")


def only(outcomes: Sequence[ReportOrError]) -> StageReport:
    """The report of the one cell.

    Raises:
        Exception: what its work ended with.
    """
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
