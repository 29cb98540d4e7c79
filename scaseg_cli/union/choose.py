"""The choice of a snapshot and of increments, by the harmonic mean of the task's measure on the selection images.

``evaluation.choose_on`` can replace it by the choice on folds of the seen classes, or by fixed ones: the last snapshot,
and the published increments. The selection images are then not read.

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
    from scaseg_cli.fold_choice import FoldChoice
    from scaseg_cli.measures.summary import Quantity, Summary
    from scaseg_cli.recipe.schema import Recipe

Model = Literal["base", "method", "control"]
ChooseOn = Literal["unseen_labels", "seen_folds", "nothing"]


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
        figures: every figure that was compared; none unless the choice was made on the selection images.
        chosen_on: the recipe's ``evaluation.choose_on``.
    """

    measure: Quantity
    base: Figure
    method: Figure
    method_increment: Figure
    control: Figure | None
    figures: list[Figure]
    chosen_on: ChooseOn = "unseen_labels"

    @property
    def note(self) -> str:
        """The warning that accompanies the figures."""
        if self.chosen_on == "seen_folds":
            return "Chosen on folds of the seen classes: no unseen label was read."
        if self.chosen_on == "nothing":
            return "Nothing was chosen: the last snapshot, and the published increments. No unseen label was read."
        return (
            f"Chosen on the selection images, by h{self.measure.title}. These figures flatter what was chosen: report "
            "validation figures."
        )

    def as_json_value(self) -> dict[str, Any]:
        """Return the contents of `RunDir.choices_file`."""
        chosen = {name: getattr(self, name) for name in ("base", "method", "method_increment", "control")}
        return {
            "image_set": "selection" if self.chosen_on == "unseen_labels" else None,
            "chosen_on": self.chosen_on,
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


def choose_without_labels(recipe: Recipe, measure: Quantity, on_folds: FoldChoice | None) -> Choices:
    """Take over what was chosen on folds, or fixed places: the last snapshot, and the published increments.

    The published increments are that of the inductive setting for the base, and for the control, which both never met
    an unseen embedding, and 0 for the method.

    Args:
        recipe: the recipe.
        measure: the task's main measure.
        on_folds: what was chosen on folds of the seen classes; None: nothing was.
    """

    def at(model: Model, step: int, increment: float) -> Figure:
        return Figure(model, step, increment, math.nan, math.nan, math.nan)

    last, published = recipe.union.iterations, recipe.evaluation.inductive_increment
    if on_folds is None:
        control = at("control", last, published) if recipe.union.control else None
        base, method = at("base", 0, published), at("method", last, 0.0)
        return Choices(measure, base, method, method, control, [], "nothing")
    place = on_folds["control"]
    return Choices(
        measure,
        at("base", **on_folds["base"]),
        at("method", **on_folds["method"]),
        at("method", **on_folds["method_increment"]),
        at("control", **place) if place is not None else None,
        [],
        "seen_folds",
    )


@dataclass(frozen=True)
class Tried:
    """A candidate tried on the selection images, with the model and the step that it comes from."""

    model: Model
    step: int
    candidate: Candidate


def tried_of(
    recipe: Recipe, base: CosineClassifier, tuned: CosineClassifier, snapshots: dict[Model, list[Snapshot]]
) -> list[Tried]:
    """List the base and every snapshot, each at every increment.

    Args:
        recipe: gives the increments; 0 is always added.
        base: the base's classifier over all classes, on the CPU.
        tuned: the same with the vectors by which the fine-tuned projectors classify.
        snapshots: of the method, and of the control if there is one.
    """
    models: list[tuple[Model, int, CosineClassifier]] = [("base", 0, base)]
    models += [(name, snap.step, snap.classifier(tuned)) for name, snaps in snapshots.items() for snap in snaps]
    return [
        Tried(name, step, Candidate(f"{name} {step} {increment!r}", classifier, increment))
        for name, step, classifier in models
        for increment in sorted({0.0, *recipe.evaluation.increments})
    ]


def figures_of(tried: list[Tried], summaries: Mapping[str, Summary]) -> list[Figure]:
    """Return the figure of each tried candidate, from the summaries by candidate name."""
    found = [(one, summaries[one.candidate.name]) for one in tried]
    return [Figure(o.model, o.step, o.candidate.increment, s.seen, s.unseen, s.harmonic) for o, s in found]
