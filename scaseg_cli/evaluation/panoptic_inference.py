"""Panoptic inference: masks and class probabilities become segments, which panoptic quality counts.

Shapes: Q queries, N classes, H W pixels, G labelled segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scaseg_cli.measures.fusion import FusionRule, MaskSet, Prediction
from scaseg_cli.measures.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scaseg_cli.measures.panoptic import PanopticMeasure
    from scaseg_cli.recipe.schema import Evaluation
    from scaseg_cli.split.classes import SegmentArrays


@dataclass(frozen=True, eq=False)
class PanopticInference:
    """Panoptic inference for a run's classes."""

    measure: PanopticMeasure

    def rule_of(self, config: Evaluation) -> tuple[float, ...]:
        """Return the recipe values that change a prediction: the two thresholds of the fusion."""
        return config.object_threshold, config.overlap_threshold

    def prepare(self, label_HW: NDArray[np.integer], segments: SegmentArrays, masks_QHW: Tensor) -> PanopticImage:
        """Prepare an image's label and masks for any number of classifiers; see `prepare_label` and `MaskSet`."""
        return PanopticImage(prepare_label(label_HW, *segments), MaskSet(masks_QHW.numpy()), self.measure.isthing)


@dataclass(frozen=True, eq=False)
class PanopticImage:
    """One image's label and masks, ready for any number of classifiers."""

    label: PreparedLabel
    masks: MaskSet
    isthing: NDArray[np.bool_]

    def add(
        self, counts: Sequence[PanopticQuality], probabilities: Sequence[Tensor], rules: Sequence[tuple[float, ...]]
    ) -> None:
        """Count the image for each candidate, given its class probabilities [Q, N + 1] and its rule."""
        scores_KQ, labels_KQ = torch.stack(list(probabilities)).max(-1)
        rows = zip(counts, scores_KQ.numpy(), labels_KQ.numpy(), rules, strict=True)
        for quality, scores_Q, labels_Q, rule in rows:
            self.masks.add_to(quality, self.label, scores_Q, labels_Q, FusionRule(self.isthing, *rule))

    def predict(self, probabilities_QN1: Tensor, rule: tuple[float, ...]) -> Prediction:
        """Return the segments of one candidate, given its class probabilities [Q, N + 1] and its rule."""
        scores_Q, labels_Q = probabilities_QN1.max(-1)
        fused = self.masks.fuse(scores_Q.numpy(), labels_Q.numpy(), FusionRule(self.isthing, *rule))
        return Prediction(fused.segment_map_HW, fused.class_ids)
