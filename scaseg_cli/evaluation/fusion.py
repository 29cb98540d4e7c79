"""Panoptic inference as Mask2Former's: from class scores and masks of queries to one map of segments.

The rule: queries whose best class is a real one with a score above the object threshold are kept; each pixel goes to
the kept query with the largest score * mask; a query's segment is its pixels where its own mask is at least 0.5; it
stays if the pixels it won are at least the overlap threshold of the pixels where its mask is at least 0.5; segments of
one stuff class become one. What is a thing is told by a table, since seen and unseen classes are mixed.

What does not depend on the class scores is taken once by `MaskSet`, so that many classifiers can be scored on the
same masks. Shapes: Q queries, K kept queries, H W image, X = H * W pixels, G labelled segments, S segments, N classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scaseg_cli.evaluation.panoptic_quality import PanopticQuality, PreparedLabel


@dataclass(frozen=True, eq=False)
class FusionRule:
    """The thresholds and which classes are things.

    Attributes:
        isthing: [N] bool; N is also the label that means no object.
        object_threshold: a query is kept when its class score is above.
        overlap_threshold: a segment is kept when it won at least this part of its own mask.
    """

    isthing: NDArray[np.bool_]
    object_threshold: float
    overlap_threshold: float

    @property
    def num_classes(self) -> int:
        return len(self.isthing)


class Fused(NamedTuple):
    """A panoptic prediction: segment ids 1..S in the map (0: none), and S ids, class ids and class scores."""

    segment_map_HW: NDArray[np.int32]
    ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    scores: NDArray[np.float64]


def fuse(
    scores: NDArray[np.floating],
    labels: NDArray[np.integer],
    masks_QHW: NDArray[np.floating],
    isthing: NDArray[np.bool_],
    object_threshold: float,
    overlap_threshold: float,
    num_classes: int,
) -> Fused:
    """Fuse the queries of one image.

    Args:
        scores: [Q], the largest class probability, no-object included.
        labels: [Q], its class id; ``num_classes`` for no object.
        masks_QHW: probabilities (after the sigmoid) at the size of the result.
        isthing: [N] bool.
        object_threshold: see `FusionRule`.
        overlap_threshold: see `FusionRule`.
        num_classes: N.

    Raises:
        ValueError: shapes that do not fit together.
    """
    if len(isthing) != num_classes:
        raise ValueError(f"isthing has {len(isthing)} entries for {num_classes} classes")
    return MaskSet(masks_QHW).fuse(scores, labels, FusionRule(isthing, object_threshold, overlap_threshold))


class MaskSet:
    """The masks of one image's queries, made ready to be fused with any number of class scores."""

    def __init__(self, masks_QHW: NDArray[np.floating]) -> None:
        if masks_QHW.ndim != 3:
            raise ValueError(f"masks have the shape {masks_QHW.shape}, not [Q, H, W]")
        self.num_queries, *self.shape = masks_QHW.shape
        self._masks_QX = np.ascontiguousarray(masks_QHW, dtype=np.float32).reshape(self.num_queries, -1)
        self._inside_QX = self._masks_QX >= 0.5
        self._areas_Q = self._inside_QX.sum(axis=1)

    def fuse(self, scores: NDArray[np.floating], labels: NDArray[np.integer], rule: FusionRule) -> Fused:
        """Fuse with these class scores; see `fuse`."""
        kept = self._kept(scores, labels, rule)
        winner_X, inside_X = self._winners(scores, kept)
        won_K = np.bincount(winner_X, minlength=len(kept))
        pixels_K = np.bincount(winner_X, inside_X, minlength=len(kept))
        segment_K, class_ids = self._segments(won_K, pixels_K, kept, labels, rule)
        flat = np.zeros(inside_X.shape, dtype=np.int32)
        if len(kept):
            flat = np.where(inside_X, segment_K[winner_X] + 1, 0).astype(np.int32)
        best = np.zeros(len(class_ids))
        chosen = segment_K >= 0
        np.maximum.at(best, segment_K[chosen], np.asarray(scores, dtype=np.float64)[kept[chosen]])
        return Fused(flat.reshape(self.shape), np.arange(1, len(class_ids) + 1), class_ids, best)

    def add_to(
        self,
        quality: PanopticQuality,
        label: PreparedLabel,
        scores: NDArray[np.floating],
        labels: NDArray[np.integer],
        rule: FusionRule,
    ) -> None:
        """Fuse with these class scores and count the result against ``label``, without making the map.

        Raises:
            ValueError: the label's size is not the masks'.
        """
        if tuple(self.shape) != label.shape:
            raise ValueError(f"masks are {tuple(self.shape)}, label is {label.shape}")
        kept = self._kept(scores, labels, rule)
        winner_X, inside_X = self._winners(scores, kept)
        columns = len(label.class_ids_G) + 1
        code_X = (2 * winner_X + inside_X) * columns + label.index_X if len(kept) else winner_X
        pixels = np.bincount(code_X, minlength=2 * len(kept) * columns)[: 2 * len(kept) * columns]
        pixels_K2G = pixels.reshape(len(kept), 2, columns)
        inside_KG = pixels_K2G[:, 1]
        segment_K, class_ids = self._segments(pixels_K2G.sum(axis=(1, 2)), inside_KG.sum(axis=1), kept, labels, rule)
        pixels_SG = np.zeros((len(class_ids), columns), dtype=np.int64)
        chosen = segment_K >= 0
        np.add.at(pixels_SG, segment_K[chosen], inside_KG[chosen])
        quality.add_counts(label, pixels_SG, class_ids)

    def _kept(self, scores: NDArray[np.floating], labels: NDArray[np.integer], rule: FusionRule) -> NDArray[np.intp]:
        if scores.shape != (self.num_queries,) or labels.shape != (self.num_queries,):
            raise ValueError(f"{scores.shape} scores and {labels.shape} labels for {self.num_queries} queries")
        return np.flatnonzero((labels != rule.num_classes) & (scores > rule.object_threshold))

    def _winners(
        self, scores: NDArray[np.floating], kept: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """For each pixel the place in ``kept`` of the query that wins it, and whether its own mask is at least 0.5."""
        num_pixels = self._masks_QX.shape[1]
        if not len(kept):
            return np.zeros(num_pixels, dtype=np.intp), np.zeros(num_pixels, dtype=bool)
        weighted_KX = scores[kept].astype(np.float32)[:, None] * self._masks_QX[kept]
        winner_X = weighted_KX.argmax(axis=0)
        return winner_X, self._inside_QX[kept[winner_X], np.arange(num_pixels)]

    def _segments(
        self,
        won_K: NDArray[np.integer],
        pixels_K: NDArray[np.generic],
        kept: NDArray[np.intp],
        labels: NDArray[np.integer],
        rule: FusionRule,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each kept query its segment's place or -1, and the class ids of the segments."""
        segment_K = np.full(len(kept), -1, dtype=np.int64)
        class_ids: list[int] = []
        stuff: dict[int, int] = {}
        for k, query in enumerate(kept):
            area = self._areas_Q[query]
            if not pixels_K[k] or won_K[k] / area < rule.overlap_threshold:
                continue
            class_id = int(labels[query])
            if not rule.isthing[class_id] and class_id in stuff:
                segment_K[k] = stuff[class_id]
                continue
            segment_K[k] = stuff[class_id] = len(class_ids)
            class_ids.append(class_id)
        return segment_K, np.array(class_ids, dtype=np.int64)
