"""What is chosen on the selection images: a snapshot and increments, by harmonic PQ.

Selection images are never those that results are reported on. The figures here have been looked at to choose, so they
flatter what was chosen: they are for the record, not for a result table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scaseg_cli.base.classifier import CosineClassifier
from scaseg_cli.base.projector import Snapshot
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.score import Candidate, score
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir

Model = Literal["base", "method", "control"]
NOTE = "Chosen on the selection images, by hPQ. These figures flatter what was chosen: report validation figures."


@dataclass(frozen=True)
class Figure:
    """PQ of one candidate on the selection images, fractions.

    Attributes:
        model: the base, the method, or the control.
        step: fine-tuning steps; 0 for the base.
        increment: added to the unseen logits.
        spq, upq, hpq: mean PQ over seen, over unseen classes, and their harmonic mean.
    """

    model: Model
    step: int
    increment: float
    spq: float
    upq: float
    hpq: float


@dataclass(frozen=True)
class Choices:
    """The best of each kind.

    Attributes:
        base: the base at its best increment.
        method: the method's best snapshot with no logit raised, as published for the transductive setting.
        method_increment: the method's best snapshot and increment together.
        control: the control's best snapshot and increment together; None where it was not trained.
        figures: all that was seen.
    """

    base: Figure
    method: Figure
    method_increment: Figure
    control: Figure | None
    figures: list[Figure]

    def as_json_value(self) -> dict[str, Any]:
        """For `RunDir.choices_file`."""
        chosen = {name: getattr(self, name) for name in ("base", "method", "method_increment", "control")}
        return {
            "image_set": "selection",
            "note": NOTE,
            "chosen": {name: None if figure is None else asdict(figure) for name, figure in chosen.items()},
            "figures": [asdict(figure) for figure in self.figures],
        }


def best(figures: Iterable[Figure]) -> Figure:
    """The highest hPQ; of equal ones the fewest steps, then the smallest increment.

    Raises:
        ScasegError: hPQ is not defined, since the selection images hold no unseen (or no seen) class.
    """
    found = sorted(figures, key=lambda figure: (-figure.hpq, figure.step, abs(figure.increment)))
    if any(math.isnan(figure.hpq) for figure in found):
        raise ScasegError(
            "the selection images do not hold both seen and unseen classes, so nothing can be chosen on them",
            "Name other images in data.selection, or raise data.selection_fraction.",
        )
    return found[0]


def choose(figures: list[Figure]) -> Choices:
    """The best of each kind among ``figures``."""

    def of(model: Model) -> list[Figure]:
        return [figure for figure in figures if figure.model == model]

    return Choices(
        base=best(of("base")),
        method=best(figure for figure in of("method") if figure.increment == 0.0),
        method_increment=best(of("method")),
        control=best(of("control")) if of("control") else None,
        figures=figures,
    )


def score_snapshots(
    recipe: Recipe, run: RunDir, base: CosineClassifier, snapshots: dict[Model, list[Snapshot]]
) -> list[Figure]:
    """Figures of the base and of every snapshot at every increment, from one pass over the selection images.

    Args:
        recipe: its increments, and 0, are tried.
        run: the run folder.
        base: the base's classifier over all classes, on the CPU.
        snapshots: of the method, and of the control where there is one.
    """
    increments = sorted({0.0, *recipe.evaluation.increments})
    models: list[tuple[Model, int, CosineClassifier]] = [("base", 0, base)]
    models += [(name, snap.step, snap.classifier(base)) for name, snaps in snapshots.items() for snap in snaps]
    wanted = {
        f"{name} {step} {increment:+g}": (name, step, increment, classifier)
        for name, step, classifier in models
        for increment in increments
    }
    candidates = [Candidate(key, classifier, increment) for key, (_, _, increment, classifier) in wanted.items()]
    summaries = score(recipe, run, "selection", candidates)
    return [
        Figure(name, step, increment, summaries[key].spq, summaries[key].upq, summaries[key].hpq)
        for key, (name, step, increment, _) in wanted.items()
    ]
