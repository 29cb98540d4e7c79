"""Panoptic inference: masks and class probabilities become segments, which panoptic quality counts.

Shapes: Q queries, N classes, H W pixels, G labelled segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scaseg_cli.measures.fusion import FusionRule, MaskSet, Prediction, kept_by_each, kept_queries
from scaseg_cli.measures.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.base.segmentor import MasksOf
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

    def prepare(self, label_HW: NDArray[np.integer], segments: SegmentArrays, masks_of: MasksOf) -> PanopticImage:
        """Prepare an image's label for any number of classifiers (`prepare_label`); masks are made later."""
        return PanopticImage(prepare_label(label_HW, *segments), masks_of, self.measure.isthing)


@dataclass(frozen=True, eq=False)
class PanopticImage:
    """One image's label and what makes its masks, ready for any number of classifiers."""

    label: PreparedLabel
    masks_of: MasksOf
    isthing: NDArray[np.bool_]

    def add(
        self, counts: Sequence[PanopticQuality], probabilities: Sequence[Tensor], rules: Sequence[tuple[float, ...]]
    ) -> None:
        """Count the image for each candidate, given its class probabilities [Q, N + 1] and its rule.

        Masks are made of the queries that some candidate keeps: no other query has a pixel.
        """
        scores_KQ, labels_KQ = (part.numpy() for part in torch.stack(list(probabilities)).max(-1))
        fusion_rules = [FusionRule(self.isthing, *rule) for rule in rules]
        kept = np.flatnonzero(kept_by_each(scores_KQ, labels_KQ, fusion_rules).any(0))
        masks = MaskSet(self.masks_of(torch.from_numpy(kept)).numpy()) if len(kept) else None
        if masks is not None:
            masks.add_each(counts, self.label, scores_KQ[:, kept], labels_KQ[:, kept], fusion_rules)
            return
        for quality in counts:
            quality.add_counts(self.label, [], [])

    def predict(self, probabilities_QN1: Tensor, rule: tuple[float, ...]) -> Prediction:
        """Return the segments of one candidate, given its class probabilities [Q, N + 1] and its rule."""
        fusion_rule = FusionRule(self.isthing, *rule)
        scores_Q, labels_Q = (part.numpy() for part in probabilities_QN1.max(-1))
        kept = kept_queries(scores_Q, labels_Q, fusion_rule)
        if not len(kept):
            return Prediction(np.zeros(self.label.shape, np.int32), np.zeros(0, np.int64))
        masks = MaskSet(self.masks_of(torch.from_numpy(kept)).numpy())
        fused = masks.fuse(scores_Q[kept], labels_Q[kept], fusion_rule)
        return Prediction(fused.segment_map_HW, fused.class_ids)
