"""The measure of zero-shot panoptic segmentation: panoptic inference, and panoptic quality.

Shapes: Q queries, N classes, H W pixels, G labelled segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from scaseg_cli.evaluation.fusion import FusionRule, MaskSet, Prediction
from scaseg_cli.evaluation.panoptic_quality import PanopticQuality, PreparedLabel, prepare_label
from scaseg_cli.evaluation.summary import Quantity, Summary, group_means, seen_and_unseen, with_harmonic
from scaseg_cli.recipe.schema import Evaluation
from scaseg_cli.results.table import Column


@dataclass(frozen=True, eq=False)
class PanopticMeasure:
    """Panoptic quality over a run's classes.

    Attributes:
        is_seen, isthing: [N] bool.
    """

    is_seen: NDArray[np.bool_]
    isthing: NDArray[np.bool_]

    title = "panoptic quality"
    quantities = (Quantity("pq", "PQ"), Quantity("sq", "SQ"), Quantity("rq", "RQ"))
    class_columns = (
        Column("class", "Class"),
        Column("seen", "Seen", "flag"),
        Column("isthing", "Thing", "flag"),
        Column("pq", "PQ", "percent"),
        Column("sq", "SQ", "percent"),
        Column("rq", "RQ", "percent"),
        Column("tp", "TP", "count"),
        Column("fp", "FP", "count"),
        Column("fn", "FN", "count"),
    )
    class_note = "A class that no label and no predicted segment has counts nowhere."

    def rule_of(self, config: Evaluation) -> tuple[float, ...]:
        """What of a recipe's inference a candidate's figures depend on: both thresholds of the fusion."""
        return config.object_threshold, config.overlap_threshold

    def new_counts(self) -> PanopticQuality:
        """Nothing counted yet."""
        return PanopticQuality(len(self.isthing))

    def prepare(
        self, label_HW: NDArray[np.integer], ids: ArrayLike, class_ids: ArrayLike, iscrowd: ArrayLike, masks_QHW: Tensor
    ) -> PanopticImage:
        """An image's label and masks, ready for any number of classifiers; see `prepare_label` and `MaskSet`."""
        label = prepare_label(label_HW, ids, class_ids, iscrowd)
        return PanopticImage(label, MaskSet(masks_QHW.numpy()), self.isthing)

    def summarise(self, counts: PanopticQuality) -> Summary:
        """Means over the classes that are present, by group."""
        found = counts.per_class()
        groups = {**seen_and_unseen(self.is_seen), "things": self.isthing, "stuff": ~self.isthing}
        means = group_means({"pq": found.pq, "sq": found.sq, "rq": found.rq}, groups)
        columns = {key: getattr(found, key) for key in ("pq", "sq", "rq", "tp", "fp", "fn")}
        return Summary("pq", with_harmonic(means), {"seen": self.is_seen, "isthing": self.isthing, **columns})


@dataclass(frozen=True, eq=False)
class PanopticImage:
    """One image's label and masks."""

    label: PreparedLabel
    masks: MaskSet
    isthing: NDArray[np.bool_]

    def add(
        self, counts: Sequence[PanopticQuality], shares: Sequence[Tensor], rules: Sequence[tuple[float, ...]]
    ) -> None:
        """Count the image once for each candidate, from its class shares [Q, N + 1] and by its rule."""
        scores_KQ, labels_KQ = torch.stack(list(shares)).max(-1)
        rows = zip(counts, scores_KQ.numpy(), labels_KQ.numpy(), rules, strict=True)
        for quality, scores_Q, labels_Q, rule in rows:
            self.masks.add_to(quality, self.label, scores_Q, labels_Q, FusionRule(self.isthing, *rule))

    def predict(self, shares_QN1: Tensor, rule: tuple[float, ...]) -> Prediction:
        """The segments."""
        scores_Q, labels_Q = shares_QN1.max(-1)
        fused = self.masks.fuse(scores_Q.numpy(), labels_Q.numpy(), FusionRule(self.isthing, *rule))
        return Prediction(fused.segment_map_HW, fused.class_ids)
