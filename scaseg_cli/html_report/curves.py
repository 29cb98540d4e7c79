"""How the losses fell, and what the snapshots of the fine-tuning were worth: read from what the stages wrote."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scaseg_cli.run_dir import RunDir

STEP = "iteration"


@dataclass(frozen=True)
class Losses:
    """Losses over a training.

    Attributes:
        steps: iterations.
        values: by the loss's name, one a step.
    """

    steps: list[float]
    values: dict[str, list[float]]

    def as_json_value(self) -> dict[str, Any]:
        """By name, with the iterations first."""
        return {STEP: self.steps, **self.values}


@dataclass(frozen=True)
class Snapshots:
    """What union-finetune saw on the selection images.

    Attributes:
        measure: "pq" or "iou".
        figures: model, step, increment and the measure over seen, unseen and both.
        chosen: by the choice's name, the figure that was chosen; None where there is no such model.
    """

    measure: str
    figures: list[dict[str, Any]]
    chosen: dict[str, dict[str, Any] | None]


def read_base_losses(run: RunDir) -> Losses:
    """Of stage 1.

    Raises:
        ScasegError: they are not there, or no table of numbers.
    """
    path = run.path / "base" / "losses.csv"
    if not path.is_file():
        raise ScasegError(f"{path} is not there")
    with open(path, encoding="utf-8", newline="") as file:
        return _losses(csv.DictReader(file), path)


def read_generator_losses(run: RunDir) -> Losses:
    """Of stage 2.

    Raises:
        ScasegError: they are not there, as where no generator is trained, or no table of numbers.
    """
    path = run.path / "cat" / "curve.json"
    return _losses(read_json(path, "the generator's losses"), path)


def _losses(rows: Iterable[dict[str, Any]], path: Path) -> Losses:
    values: dict[str, list[float]] = {}
    try:
        for row in rows:
            for name, value in row.items():
                values.setdefault(name, []).append(float(value))
        return Losses(values.pop(STEP), values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ScasegError(f"{path} is no table of losses") from error


def read_snapshots(run: RunDir) -> Snapshots:
    """Of stage 3.

    Raises:
        ScasegError: they are not there, or not what union-finetune writes.
    """
    content = read_json(run.choices_file, "the choices of union-finetune")
    try:
        return Snapshots(content["measure"], content["figures"], content["chosen"])
    except (KeyError, TypeError) as error:
        raise ScasegError(f"{run.choices_file} is not what union-finetune writes") from error
