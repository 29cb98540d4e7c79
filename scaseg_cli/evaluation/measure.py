"""What evaluation asks of a task: how masks and class shares become a prediction, how it is counted and summed up.

`measure_of` alone knows which task has which measure. Shapes: Q queries, N classes, H W pixels, G labelled segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from scaseg_cli.evaluation.fusion import Prediction
from scaseg_cli.evaluation.panoptic_measure import PanopticMeasure
from scaseg_cli.evaluation.semantic_measure import SemanticMeasure
from scaseg_cli.evaluation.summary import Quantity, Summary
from scaseg_cli.recipe.schema import Evaluation, Recipe
from scaseg_cli.results.table import Column
from scaseg_cli.split import ClassList
from scaseg_cli.tasks import task_of

LETTERS = {"seen": "s", "unseen": "u", "harmonic": "h"}  # before a measure's title
Rule = tuple[float, ...]  # what of a recipe's inference a candidate's figures depend on


class Counts(Protocol):
    """What was counted of one candidate; ``array`` is all of it, and is added up over images and processes."""

    array: NDArray[np.int64]


C = TypeVar("C", bound=Counts)
Counted = TypeVar("Counted", bound=Counts, contravariant=True)


class PreparedImage(Protocol[Counted]):
    """One image's label and masks."""

    def add(self, counts: Sequence[Counted], shares: Sequence[Tensor], rules: Sequence[Rule]) -> None:
        """Count the image once for each candidate, from its class shares [Q, N + 1] (no-object last) and its rule."""

    def predict(self, shares_QN1: Tensor, rule: Rule) -> Prediction:
        """What a candidate makes of the image, as it is counted."""


class Measure(Protocol[C]):
    """How one task is measured, over a run's classes."""

    @property
    def title(self) -> str:
        """What is measured, in words."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What a summary holds of each group of classes; the first is its main one."""

    @property
    def class_columns(self) -> tuple[Column, ...]:
        """Columns of the table by class."""

    @property
    def class_note(self) -> str:
        """A sentence below it."""

    def rule_of(self, config: Evaluation) -> Rule:
        """What of a recipe's inference a candidate's figures depend on."""

    def new_counts(self) -> C:
        """Nothing counted yet."""

    def prepare(
        self, label_HW: NDArray[np.integer], ids: ArrayLike, class_ids: ArrayLike, iscrowd: ArrayLike, masks_QHW: Tensor
    ) -> PreparedImage[C]:
        """An image's label and masks, ready for any number of classifiers.

        Args:
            label_HW: segment ids, 0 = no label.
            ids: [G], the listed segments.
            class_ids: [G].
            iscrowd: [G].
            masks_QHW: probabilities (after the sigmoid), on the CPU.
        """

    def summarise(self, counts: C) -> Summary:
        """The figures of a candidate."""


def measure_of(recipe: Recipe, classes: ClassList, device: torch.device | None = None) -> Measure[Any]:
    """The measure of the recipe's task.

    Args:
        recipe: the recipe.
        classes: the run's.
        device: for what is heavy; the CPU if not given.
    """
    is_seen = np.arange(len(classes)) < classes.num_seen
    if task_of(recipe).measure == "iou":
        return SemanticMeasure(is_seen, device or torch.device("cpu"))
    return PanopticMeasure(is_seen, classes.isthing)
