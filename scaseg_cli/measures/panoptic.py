"""Panoptic quality over a run's classes: the measure of zero-shot panoptic segmentation. Shape: N classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.measures.panoptic_quality import PanopticQuality, pq_of
from scaseg_cli.measures.summary import (
    Quantity,
    Summary,
    absent_as_zero,
    group_means,
    seen_and_unseen,
    with_harmonic,
)
from scaseg_cli.results.table import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PanopticMeasure:
    """Panoptic quality over a run's classes.

    Attributes:
        is_seen, isthing: [N] bool.
        with_absent: whether absent classes count as 0 in the means (`absent_as_zero`).
    """

    is_seen: NDArray[np.bool_]
    isthing: NDArray[np.bool_]
    with_absent: bool = False

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

    def by_class(self, counts: PanopticQuality) -> NDArray[np.int64]:
        """TP, FP, FN and the sum of IoU, [4, N]."""
        return counts.array.copy()

    def main_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """PQ by class, [..., N], of summed counts [..., 4, N]."""
        found = pq_of(sums)
        return np.nan_to_num(found, nan=0.0) if self.with_absent else found

    def new_counts(self) -> PanopticQuality:
        """Make empty counts."""
        return PanopticQuality(len(self.isthing))

    def summarise(self, counts: PanopticQuality) -> Summary:
        """Compute the means over the present classes of each group, or over all with ``with_absent``."""
        found = counts.per_class()
        groups = {**seen_and_unseen(self.is_seen), "things": self.isthing, "stuff": ~self.isthing}
        values = {"pq": found.pq, "sq": found.sq, "rq": found.rq}
        means = group_means(absent_as_zero(values) if self.with_absent else values, groups)
        columns = {key: getattr(found, key) for key in ("pq", "sq", "rq", "tp", "fp", "fn")}
        return Summary("pq", with_harmonic(means), {"seen": self.is_seen, "isthing": self.isthing, **columns})
