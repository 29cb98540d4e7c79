"""The choice of a snapshot and of increments on the selection images, by the harmonic mean of the task's measure.

No result is reported on selection images. The figures here were used to choose, so they flatter what was chosen: they
are kept for the record and enter no result table.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.candidates import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.base.projector import Snapshot
    from scaseg_cli.measures.summary import Quantity, Summary
    from scaseg_cli.recipe.schema import Recipe

Model = Literal["base", "method", "control"]


@dataclass(frozen=True)
class Figure:
    """The task's main measure of one candidate on the selection images, as fractions.

    Attributes:
        model: the base, the method, or the control.
        step: fine-tuning steps; 0 for the base.
        increment: added to the unseen logits.
        seen, unseen, harmonic: the mean over seen classes, the mean over unseen classes, and their harmonic mean.
    """

    model: Model
    step: int
    increment: float
    seen: float
    unseen: float
    harmonic: float


@dataclass(frozen=True)
class Choices:
    """The best figure of the base, of the method and of the control.

    Attributes:
        measure: the task's main measure, with its key ("pq") and title ("PQ").
        base: the base at its best increment.
        method: the method's best snapshot at increment 0, as published for the transductive setting.
        method_increment: the method's best pair of snapshot and increment.
        control: the control's best pair of snapshot and increment; None if there is no control.
        figures: every figure that was compared.
    """

    measure: Quantity
    base: Figure
    method: Figure
    method_increment: Figure
    control: Figure | None
    figures: list[Figure]

    @property
    def note(self) -> str:
        """The warning that accompanies the figures."""
        return (
            f"Chosen on the selection images, by h{self.measure.title}. These figures flatter what was chosen: report "
            "validation figures."
        )

    def as_json_value(self) -> dict[str, Any]:
        """Return the contents of `RunDir.choices_file`."""
        chosen = {name: getattr(self, name) for name in ("base", "method", "method_increment", "control")}
        return {
            "image_set": "selection",
            "measure": self.measure.key,
            "note": self.note,
            "chosen": {name: None if figure is None else asdict(figure) for name, figure in chosen.items()},
            "figures": [asdict(figure) for figure in self.figures],
        }


def best(figures: Iterable[Figure]) -> Figure:
    """Return the figure with the highest harmonic mean; ties go to fewer steps, then to the smaller increment.

    Raises:
        ScasegError: a harmonic mean is undefined because the selection images hold no seen or no unseen class.
    """
    found = sorted(figures, key=lambda figure: (-figure.harmonic, figure.step, abs(figure.increment)))
    if any(math.isnan(figure.harmonic) for figure in found):
        raise ScasegError(
            "the selection images do not hold both seen and unseen classes, so nothing can be chosen on them",
            "Name other images in data.selection, or raise data.selection_fraction.",
        )
    return found[0]


def choose(figures: list[Figure], measure: Quantity) -> Choices:
    """Choose the best of ``figures`` for the base, the method and the control; ``measure`` names their measure."""

    def of(model: Model) -> list[Figure]:
        return [figure for figure in figures if figure.model == model]

    return Choices(
        measure=measure,
        base=best(of("base")),
        method=best(figure for figure in of("method") if figure.increment == 0.0),
        method_increment=best(of("method")),
        control=best(of("control")) if of("control") else None,
        figures=figures,
    )


@dataclass(frozen=True)
class Tried:
    """A candidate tried on the selection images, with the model and the step that it comes from."""

    model: Model
    step: int
    candidate: Candidate


def tried_of(recipe: Recipe, base: CosineClassifier, snapshots: dict[Model, list[Snapshot]]) -> list[Tried]:
    """List the base and every snapshot, each at every increment.

    Args:
        recipe: gives the increments; 0 is always added.
        base: the base's classifier over all classes, on the CPU.
        snapshots: of the method, and of the control if there is one.
    """
    models: list[tuple[Model, int, CosineClassifier]] = [("base", 0, base)]
    models += [(name, snap.step, snap.classifier(base)) for name, snaps in snapshots.items() for snap in snaps]
    return [
        Tried(name, step, Candidate(f"{name} {step} {increment!r}", classifier, increment))
        for name, step, classifier in models
        for increment in sorted({0.0, *recipe.evaluation.increments})
    ]


def figures_of(tried: list[Tried], summaries: Mapping[str, Summary]) -> list[Figure]:
    """Return the figure of each tried candidate, from the summaries by candidate name."""
    found = [(one, summaries[one.candidate.name]) for one in tried]
    return [Figure(o.model, o.step, o.candidate.increment, s.seen, s.unseen, s.harmonic) for o, s in found]
