"""Mean IoU over a run's classes: the measure of zero-shot semantic segmentation. Shape: N classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scaseg_cli.measures.mean_iou import PixelCounts
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

    from scaseg_cli.measures.mean_iou import Confusion


@dataclass(frozen=True, eq=False)
class SemanticMeasure:
    """Mean IoU over a run's classes.

    Attributes:
        is_seen: [N] bool.
        with_absent: whether absent classes count as 0 in the means (`absent_as_zero`).
    """

    is_seen: NDArray[np.bool_]
    with_absent: bool = False

    title = "intersection over union"
    quantities = (Quantity("iou", "IoU"), Quantity("acc", "Acc"), Quantity("pixel_acc", "PixAcc"))
    class_columns = (
        Column("class", "Class"),
        Column("seen", "Seen", "flag"),
        Column("iou", "IoU", "percent"),
        Column("acc", "Acc", "percent"),
        Column("right", "Right", "count"),
        Column("labelled", "Labelled", "count"),
        Column("predicted", "Predicted", "count"),
    )
    class_note = (
        "Right, labelled, predicted: pixels, of those that have a label. A class that no label and no prediction has "
        "counts nowhere; one that no label has, not in Acc."
    )

    def by_class(self, counts: Confusion | PixelCounts) -> NDArray[np.int64]:
        """Pixels that label and prediction assign to the class, pixels that the label does, the prediction: [3, N]."""
        found = counts.per_class()
        return np.stack((found.right, found.labelled, found.predicted))

    def main_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """IoU by class, [..., N], of summed counts [..., 3, N]; NaN for a class in neither label nor prediction."""
        right, labelled, predicted = np.moveaxis(sums, -2, 0)
        either = labelled + predicted - right
        absent = 0.0 if self.with_absent else np.nan
        iou = np.full(either.shape, absent)
        np.divide(right, either, out=iou, where=either > 0)
        return iou

    def new_counts(self) -> PixelCounts:
        """Make empty counts."""
        return PixelCounts(len(self.is_seen))

    def summarise(self, counts: Confusion | PixelCounts) -> Summary:
        """Compute the means over the classes of each group; ``pixel_acc`` is the accuracy over the group's pixels."""
        found = counts.per_class()
        groups = seen_and_unseen(self.is_seen)
        values = {"iou": found.iou, "acc": found.acc}
        means = group_means(absent_as_zero(values) if self.with_absent else values, groups)
        for name, group in groups.items():
            labelled = int(found.labelled[group].sum())
            means[name]["pixel_acc"] = int(found.right[group].sum()) / labelled if labelled else float("nan")
        columns = {key: getattr(found, key) for key in ("iou", "acc", "right", "labelled", "predicted")}
        return Summary("iou", with_harmonic(means), {"seen": self.is_seen, **columns})
