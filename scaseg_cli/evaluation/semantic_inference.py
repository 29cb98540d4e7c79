"""Mask2Former's semantic inference: masks and class probabilities become a class for each pixel.

A pixel gets the class k with the largest sum over the queries q of p(k | q) * m_q. p is the class probability (softmax
over all classes and no-object, but no-object is not summed). m_q is the mask's probability at the pixel. Ties go to the
first class (`pixel_classes`). Every pixel gets a class. Shapes: Q queries, N classes, H W image, X = H * W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.evaluation.semantic.pixel_classes import pixel_classes
from scaseg_cli.evaluation.semantic.tiles import TiledImage, are_faster
from scaseg_cli.measures.fusion import Prediction
from scaseg_cli.measures.mean_iou import SemanticLabel, semantic_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from scaseg_cli.base.segmentor import MasksOf
    from scaseg_cli.measures.mean_iou import Confusion, PixelCounts
    from scaseg_cli.measures.semantic import SemanticMeasure
    from scaseg_cli.recipe.schema import Evaluation
    from scaseg_cli.split.classes import SegmentArrays


@dataclass(frozen=True, eq=False)
class SemanticInference:
    """Semantic inference for a run's classes.

    Attributes:
        measure: mean IoU over the same classes.
        device: device that multiplies class probabilities and masks.
    """

    measure: SemanticMeasure
    device: torch.device

    def rule_of(self, config: Evaluation) -> tuple[float, ...]:
        """Return the recipe values that change a prediction: none, since semantic inference has no threshold."""
        del config
        return ()

    def prepare(self, label_HW: NDArray[np.integer], segments: SegmentArrays, masks_of: MasksOf) -> SemanticImage:
        """Prepare an image's label and masks for any number of classifiers.

        Raises:
            ValueError: the label is invalid (`semantic_label`), or its size differs from the masks' size.
        """
        label = semantic_label(label_HW, segments.ids, segments.class_ids)  # instances of a class are merged
        masks_QHW = masks_of(None)  # each pixel's class depends on all queries
        if label.shape != tuple(masks_QHW.shape[1:]):
            raise ValueError(f"masks are {tuple(masks_QHW.shape[1:])}, label is {label.shape}")
        return SemanticImage(label, masks_QHW.flatten(1).to(self.device))


@dataclass(frozen=True, eq=False)
class SemanticImage:
    """One image's label, and its mask probabilities on the device."""

    label: SemanticLabel
    masks_QX: Tensor

    def add(
        self,
        counts: Sequence[Confusion | PixelCounts],
        probabilities: Sequence[Tensor],
        rules: Sequence[tuple[float, ...]],
    ) -> None:
        """Count the image for each candidate, given its class probabilities [Q, N + 1].

        Each candidate is decided on its own, so its result does not depend on the other candidates of the pass.
        """
        del rules
        if probabilities and are_faster(probabilities[0].shape[1] - 1, len(probabilities), self.masks_QX):
            TiledImage(self.label, self.masks_QX).add(counts, probabilities)
            return
        for confusion, probabilities_QN1 in zip(counts, probabilities, strict=True):
            confusion.add(self.label, self.classes(probabilities_QN1))

    def predict(self, probabilities_QN1: Tensor, rule: tuple[float, ...]) -> Prediction:
        """Return the predicted classes, with the region of each class as one segment."""
        del rule
        present, index_X = np.unique(self.classes(probabilities_QN1), return_inverse=True)
        return Prediction((index_X + 1).astype(np.int32).reshape(self.label.shape), present.astype(np.int64))

    def classes(self, probabilities_QN1: Tensor) -> NDArray[np.integer]:
        """Return the class of every pixel, flat [X]."""
        return pixel_classes(probabilities_QN1, self.masks_QX)
