"""Mask2Former's semantic inference: masks and class probabilities become a class for each pixel.

A pixel gets the class k with the largest sum over the queries q of p(k | q) * m_q. p is the class probability (softmax
over all classes and no-object, but no-object is not summed). m_q is the mask's probability at the pixel. Ties go to the
first class. Every pixel gets a class. Shapes: Q queries, N classes, H W image, X = H * W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.measures.fusion import Prediction
from scaseg_cli.measures.mean_iou import Confusion, SemanticLabel, semantic_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.measures.semantic import SemanticMeasure
    from scaseg_cli.recipe.schema import Evaluation
    from scaseg_cli.split.classes import SegmentArrays

_BLOCK = {"cpu": 2048}  # pixels at a time, so that their class sums stay in a core's cache
_LARGE_BLOCK = 1 << 19


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

    def prepare(self, label_HW: NDArray[np.integer], segments: SegmentArrays, masks_QHW: Tensor) -> SemanticImage:
        """Prepare an image's label and masks for any number of classifiers.

        Raises:
            ValueError: the label is invalid (`semantic_label`), or its size differs from the masks' size.
        """
        label = semantic_label(label_HW, segments.ids, segments.class_ids)  # instances of a class are merged
        if label.shape != tuple(masks_QHW.shape[1:]):
            raise ValueError(f"masks are {tuple(masks_QHW.shape[1:])}, label is {label.shape}")
        return SemanticImage(label, masks_QHW.flatten(1).to(self.device))


@dataclass(frozen=True, eq=False)
class SemanticImage:
    """One image's label, and its mask probabilities on the device."""

    label: SemanticLabel
    masks_QX: Tensor

    def add(
        self, counts: Sequence[Confusion], probabilities: Sequence[Tensor], rules: Sequence[tuple[float, ...]]
    ) -> None:
        """Count the image for each candidate, given its class probabilities [Q, N + 1].

        Each candidate is multiplied on its own, so its result does not depend on the other candidates of the pass.
        """
        for confusion, probabilities_QN1, _ in zip(counts, probabilities, rules, strict=True):
            confusion.add(self.label, self.classes(probabilities_QN1))

    def predict(self, probabilities_QN1: Tensor, rule: tuple[float, ...]) -> Prediction:
        """Return the predicted classes, with the region of each class as one segment."""
        del rule
        present, index_X = np.unique(self.classes(probabilities_QN1), return_inverse=True)
        return Prediction((index_X + 1).astype(np.int32).reshape(self.label.shape), present.astype(np.int64))

    def classes(self, probabilities_QN1: Tensor) -> NDArray[np.integer]:
        """Return the class of every pixel, flat [X]."""
        return pixel_classes(probabilities_QN1, self.masks_QX)


def pixel_classes(probabilities_QN1: Tensor, masks_QX: Tensor) -> NDArray[np.integer]:
    """Return the class of every pixel, flat [X].

    Args:
        probabilities_QN1: class probabilities of the queries, no-object last.
        masks_QX: their mask probabilities, on the device that multiplies them.
    """
    probabilities_NQ = probabilities_QN1[:, :-1].T.contiguous().to(masks_QX.device)
    num_classes, num_pixels = len(probabilities_NQ), masks_QX.shape[1]
    # faster than argmax along the first axis: the largest code among the classes with the largest sum
    dtype = torch.uint8 if num_classes <= 256 else torch.int32
    codes_N1 = torch.arange(num_classes - 1, -1, -1, dtype=dtype, device=probabilities_NQ.device)[:, None]
    code_X = torch.empty(num_pixels, dtype=dtype, device=probabilities_NQ.device)
    step = _BLOCK.get(probabilities_NQ.device.type, _LARGE_BLOCK)
    for start in range(0, num_pixels, step):
        block = slice(start, start + step)
        sums = probabilities_NQ @ masks_QX[:, block]
        code_X[block] = ((sums == sums.amax(0)) * codes_N1).amax(0)
    return num_classes - 1 - code_X.cpu().numpy()
