"""The losses of the trainings and the results of the fine-tuning snapshots, read from the stages' files."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.choices_file import ChosenFigure, read_choices
from scaseg_cli.files import read_json
from scaseg_cli.measures.measure import LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scaseg_cli.run_dir import RunDir

STEP = "iteration"
_LARGEST = 1e30  # a chart has room below it


@dataclass(frozen=True)
class Losses:
    """The losses of a training.

    Attributes:
        steps: iterations at which losses were recorded.
        values: one value per step, by the loss's name.
    """

    steps: list[float]
    values: dict[str, list[float]]

    def as_json_value(self) -> dict[str, Any]:
        """Return the losses by name, with the iterations first."""
        return {STEP: self.steps, **self.values}


@dataclass(frozen=True)
class Snapshots:
    """The results of the fine-tuning snapshots on the selection images.

    Attributes:
        measure: "pq" or "iou".
        figures: one mapping each, with model, step, increment, and the measure over seen, unseen and both.
        chosen: the chosen figure by the choice's name; None if there is no such model.
    """

    measure: str
    figures: list[ChosenFigure]
    chosen: dict[str, ChosenFigure | None]


def read_base_losses(run: RunDir) -> Losses:
    """Read the losses of stage 1.

    Raises:
        ScasegError: the file is missing, or is not a table of numbers.
    """
    path = run.path / "base" / "losses.csv"
    if not path.is_file():
        raise ScasegError(f"{path} is missing")
    with open(path, encoding="utf-8", newline="") as file:
        return _losses(csv.DictReader(file), path)


def read_validation(run: RunDir) -> Losses | None:
    """Read the figures on selection images that stage 1 measured while it trained; None if it measured none.

    Raises:
        ScasegError: the file is not a table of numbers.
    """
    path = run.validation_file
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as file:
        found = _losses(csv.DictReader(file), path, may_lack=True)
    if lacking := set(LETTERS) - set(found.values):
        raise ScasegError(f"{path} is not a table of figures: it lacks {', '.join(sorted(lacking))}")
    return found


def read_generator_losses(run: RunDir) -> Losses:
    """Read the losses of stage 2.

    Raises:
        ScasegError: the file is missing (for example, no generator was trained), or is not a table of numbers.
    """
    path = run.path / "cat" / "curve.json"
    return _losses(read_json(path, "the generator's losses"), path)


def _losses(rows: Iterable[dict[str, Any]], path: Path, may_lack: bool = False) -> Losses:
    values: dict[str, list[float]] = {}
    try:
        for row in rows:
            for name, value in row.items():
                values.setdefault(name, []).append(float(value))
        steps = values.pop(STEP)
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise ScasegError(f"{path} is not a table of losses") from error
    for name, column in ((STEP, steps), *values.items()):
        known = [value for value in column if not (may_lack and math.isnan(value))]
        if len(column) != len(steps) or not all(abs(value) < _LARGEST for value in known):  # not for NaN either
            raise ScasegError(f"{path} is not a table of losses: {name!r:.80} is not a number in every row")
    return Losses(steps, values)


def read_snapshots(run: RunDir) -> Snapshots:
    """Read the snapshots of stage 3.

    Raises:
        ScasegError: the file is missing, or is not what union-finetune writes.
    """
    content = read_choices(run)
    if not content["figures"]:
        raise ScasegError(
            f"no snapshot was scored on the selection images: evaluation.choose_on is {content.get('chosen_on')}"
        )
    chosen = content["chosen"]
    figures = {"base": chosen["base"], "method": chosen["method"], "method_increment": chosen["method_increment"]}
    return Snapshots(content["measure"], content["figures"], {**figures, "control": chosen["control"]})
