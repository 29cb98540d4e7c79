"""One pass of the network shared by several runs.

The work of each run is a generator that yields once. `share_pass` drives the generators in three steps:

    1. start                          2. pass                    3. end
    run A: prepare, yield request --+                        +-> answer A: write files, return report
    run B: prepare, yield request --+-> one pass over the ---+-> answer B: write files, return report
    run C: prepare, yield request --+   images for all runs  +-> answer C: write files, return report

1. Each generator runs up to its ``yield``, which hands over its request, such as the candidates to score.
2. The network passes over the images once and answers the requests of all runs.
3. Each generator is sent its own answer, writes its results, and ends by returning its report.

The code of one run thus reads from top to bottom, and a command such as ``scaseg evaluate`` is the case of one run.
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
Request = TypeVar("Request")
Answer = TypeVar("Answer")
# A run's work yields its request, is sent its answer and the seconds since the yield that were spent on other runs, and
# returns its report.
Work = Generator[Request, tuple[Answer, float], StageReport]
SHARED = ("split", "base")


def check_cells(cells: Sequence[RecipeRun]) -> None:
    """Check that the cells can share a pass of the network.

    Raises:
        ValueError: there is no cell, two cells have the same run folder, or the cells differ in data, split or base
            model.
    """
    if not cells:
        raise ValueError("no cell is given")
    if len({run.path.resolve() for _, run in cells}) < len(cells):
        raise ValueError(f"two cells have the same run folder: {[str(run.path) for _, run in cells]}")
    for stage in SHARED:
        if len({stage_key(recipe, run, stage) for recipe, run in cells}) > 1:
            raise ValueError(f"the cells differ in the {stage} stage: {[str(run.path) for _, run in cells]}")


def share_pass(
    works: Sequence[Work[Request, Answer]], one_pass: Callable[[list[tuple[int, Request]]], list[Answer]]
) -> list[ReportOrError]:
    """Run every generator to its end, with one pass of the network for all.

    Args:
        works: one generator per cell.
        one_pass: receives a pair for each cell that reached its yield: its index in ``works`` and its request.
            Returns their answers in the same order. It is not called if no cell reached its yield.

    Returns:
        For each cell, its report or the error that ended its own work. An error of one cell does not stop the others.

    Raises:
        Exception: the pass itself failed. The error is also thrown into every generator, so that each can clean up.
    """
    outcomes: dict[int, ReportOrError] = {}
    requests: dict[int, Request] = {}
    yielded_at: dict[int, float] = {}
    try:
        for index, work in enumerate(works):
            try:
                requests[index] = next(work)
                yielded_at[index] = time.monotonic()
            except Exception as error:
                outcomes[index] = error
        started = time.monotonic()
        answers = one_pass(list(requests.items())) if requests else []
        own_part = (time.monotonic() - started) / max(1, len(requests))  # seconds of the pass, divided evenly
        for index, answer in zip(requests, answers, strict=True):
            outcomes[index] = _ended(works[index], answer, time.monotonic() - yielded_at[index] - own_part)
    except BaseException as error:
        for work in works:
            with suppress(BaseException):  # it is raised below
                work.throw(error)
        raise
    return [outcomes[index] for index in range(len(works))]


def _ended(work: Work[Request, Answer], answer: Answer, waited: float) -> ReportOrError:
    try:
        work.send((answer, waited))
    except StopIteration as ended:
        report: StageReport = ended.value
        return report
    except Exception as error:
        return error
    raise AssertionError("a run's work must yield only once")


def only(outcomes: Sequence[ReportOrError]) -> StageReport:
    """Return the report of the only cell.

    Raises:
        Exception: the error that ended the cell's work.
    """
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
