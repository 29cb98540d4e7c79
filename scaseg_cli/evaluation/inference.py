"""The interface of a task's inference: masks and class probabilities become predictions, which its measure counts.

Only `inference_of` knows which task has which inference. Shapes: Q queries, N classes, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.evaluation.panoptic_inference import PanopticInference
from scaseg_cli.evaluation.semantic_inference import SemanticInference
from scaseg_cli.measures.measure import Counts, Measure
from scaseg_cli.measures.panoptic import PanopticMeasure
from scaseg_cli.measures.semantic import SemanticMeasure
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.base.segmentor import MasksOf
    from scaseg_cli.measures.fusion import Prediction
    from scaseg_cli.recipe.schema import Evaluation, Recipe
    from scaseg_cli.split.classes import ClassList, SegmentArrays

Rule = tuple[float, ...]  # the recipe values, such as thresholds, that change a candidate's figures
Counted = TypeVar("Counted", bound=Counts, contravariant=True)


class PreparedImage(Protocol[Counted]):
    """One image's label and masks, ready for any number of classifiers."""

    def add(self, counts: Sequence[Counted], probabilities: Sequence[Tensor], rules: Sequence[Rule]) -> None:
        """Count the image for each candidate, given its class probabilities [Q, N + 1] (no-object last) and rule."""

    def predict(self, probabilities_QN1: Tensor, rule: Rule) -> Prediction:
        """Return the prediction of one candidate, the same one that `add` counts."""


class Inference(Protocol):
    """The inference of one task over a run's classes."""

    @property
    def measure(self) -> Measure[Any]:
        """The measure that counts the predictions."""

    def rule_of(self, config: Evaluation) -> Rule:
        """Return the recipe values, such as thresholds, that change a candidate's figures."""

    def prepare(self, label_HW: NDArray[np.integer], segments: SegmentArrays, masks_of: MasksOf) -> PreparedImage[Any]:
        """Prepare an image's label and masks for any number of classifiers.

        Args:
            label_HW: segment ids, 0 = no label.
            segments: the listed segments.
            masks_of: makes the masks that are needed.
        """


def inference_of(recipe: Recipe, classes: ClassList, device: torch.device | None = None) -> Inference:
    """Create the inference of the recipe's task.

    Args:
        recipe: the recipe.
        classes: the run's classes.
        device: for matrix products; None means the CPU.
    """
    is_seen = np.arange(len(classes)) < classes.num_seen
    if task_of(recipe).measure == "iou":
        return SemanticInference(SemanticMeasure(is_seen), device or torch.device("cpu"))
    return PanopticInference(PanopticMeasure(is_seen, classes.isthing))
