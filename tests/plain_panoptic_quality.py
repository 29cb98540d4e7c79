"""Panoptic quality segment by segment, in the plainest way: what tests and the benchmark compare the fast one with.

The rules are those of COCO's panoptic evaluation as docs/method.md and `scaseg_cli.measures.panoptic_quality` state
them; nothing of the package is used. Shapes: H W image.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

VOID = 0


@dataclass
class Count:
    """What was counted of one category."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    iou: float = 0.0

    def quality(self) -> tuple[float, float, float]:
        """PQ, SQ and RQ; NaN of a category that neither labels nor predictions hold."""
        weight = self.tp + self.fp / 2 + self.fn / 2
        if weight == 0:
            return (float("nan"),) * 3
        return self.iou / weight, self.iou / self.tp if self.tp else 0.0, self.tp / weight


@dataclass
class PlainQuality:
    """Counts by category_id."""

    counts: dict[int, Count] = field(default_factory=lambda: defaultdict(Count))

    def add(
        self, label_HW: np.ndarray, labelled: list[dict[str, Any]], map_HW: np.ndarray, predicted: list[dict[str, Any]]
    ) -> None:
        """Count one image; segments are mappings of COCO's format: id, category_id and, of labels, iscrowd."""
        void = label_HW == VOID
        matched_labels, matched_predictions = set(), set()
        for truth in labelled:
            if truth["iscrowd"]:
                continue
            truth_mask = label_HW == truth["id"]
            for guess in predicted:
                if guess["category_id"] != truth["category_id"]:
                    continue
                guess_mask = map_HW == guess["id"]
                shared = int((truth_mask & guess_mask).sum())
                union = int(truth_mask.sum()) + int((guess_mask & ~void).sum()) - shared
                if union and shared / union > 0.5:
                    self.counts[truth["category_id"]].tp += 1
                    self.counts[truth["category_id"]].iou += shared / union
                    matched_labels.add(truth["id"])
                    matched_predictions.add(guess["id"])
        crowds: dict[int, int] = {}  # of several crowd regions of a category, the last listed one counts
        for truth in labelled:
            if truth["id"] in matched_labels:
                continue
            if truth["iscrowd"]:
                crowds[truth["category_id"]] = truth["id"]
            else:
                self.counts[truth["category_id"]].fn += 1
        for guess in predicted:
            if guess["id"] in matched_predictions:
                continue
            guess_mask = map_HW == guess["id"]
            forgiven = int((guess_mask & void).sum())
            if guess["category_id"] in crowds:
                forgiven += int((guess_mask & (label_HW == crowds[guess["category_id"]])).sum())
            if forgiven / int(guess_mask.sum()) > 0.5:
                continue
            self.counts[guess["category_id"]].fp += 1
