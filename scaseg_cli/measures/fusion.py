"""Panoptic inference of Mask2Former: fuses class scores and masks of queries to one map of segments.

The rule has five steps:

1. Keep the queries whose best class is not no-object and has a score above the object threshold.
2. Assign each pixel to the kept query with the largest score * mask. The query wins the pixel.
3. The segment of a query is the pixels that it wins where its own mask is at least 0.5.
4. Drop the segment if the number of pixels that its query wins, divided by the area where the query's mask is at least
   0.5, is below the overlap threshold.
5. Merge the segments of each stuff class. A table marks things, because seen and unseen classes are mixed.

`MaskSet` computes the part that does not depend on class scores once, so that many classifiers can be scored on the
same masks. Shapes: Q queries, K kept queries, H W image, X = H * W pixels, G labelled segments, S segments, N classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import add
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from scaseg_cli.measures.panoptic_quality import PanopticQuality, PreparedLabel

_MANY = 4  # candidates, from which on finding what they agree on takes less time than it saves
_OPEN = 0.7  # fraction of pixels on which they disagree, above which it would save too little
_BLOCK = 65_536  # score * mask products per block: they fit into the cache, and memory stays bounded


@dataclass(frozen=True, eq=False)
class FusionRule:
    """The thresholds, and which classes are things.

    Attributes:
        isthing: [N] bool; the label N means no-object.
        object_threshold: a query is kept if its class score is above.
        overlap_threshold: a segment is kept if its query wins at least this fraction of its own mask.
    """

    isthing: NDArray[np.bool_]
    object_threshold: float
    overlap_threshold: float

    @property
    def num_classes(self) -> int:
        """Number of classes N."""
        return len(self.isthing)


class Prediction(NamedTuple):
    """A panoptic prediction without scores: a map of segment ids 1..S (0: none), and S class ids."""

    segment_map_HW: NDArray[np.int32]
    class_ids: NDArray[np.int64]


class Fused(NamedTuple):
    """A panoptic prediction: a map of segment ids 1..S (0: none), and S ids, class ids and class scores."""

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
        scores: [Q], the largest class probability, including no-object.
        labels: [Q], its class id; ``num_classes`` for no-object.
        masks_QHW: probabilities (after the sigmoid) at the size of the result.
        isthing: [N] bool.
        object_threshold: see `FusionRule`.
        overlap_threshold: see `FusionRule`.
        num_classes: N.

    Raises:
        ValueError: the shapes do not match.

    >>> masks = np.array([[[0.9, 0.8, 0.1, 0.1]], [[0.1, 0.1, 0.7, 0.9]], [[0.2, 0.6, 0.2, 0.1]]])
    >>> fused = fuse(np.array([0.9, 0.8, 0.4]), np.array([1, 0, 0]), masks, np.array([True, False]), 0.5, 0.8, 2)
    >>> fused.segment_map_HW.tolist()  # the third query is below the object threshold
    [[1, 1, 2, 2]]
    >>> fused.class_ids.tolist(), fused.scores.tolist()
    ([1, 0], [0.9, 0.8])
    """
    if len(isthing) != num_classes:
        raise ValueError(f"isthing has {len(isthing)} entries for {num_classes} classes")
    return MaskSet(masks_QHW).fuse(scores, labels, FusionRule(isthing, object_threshold, overlap_threshold))


class MaskSet:
    """The masks of one image's queries, prepared for fusion with any number of class scores.

    Args:
        masks_QHW: probabilities (after the sigmoid) at the size of the result. A float32 array is not copied.

    Raises:
        ValueError: the masks are empty or not [Q, H, W].

    >>> masks = MaskSet(np.array([[[0.9, 0.2]], [[0.6, 0.9]]]))
    >>> rule = FusionRule(np.array([True, True]), object_threshold=0.3, overlap_threshold=0.5)
    >>> masks.fuse(np.array([0.9, 0.8]), np.array([0, 1]), rule).segment_map_HW.tolist()
    [[1, 2]]
    >>> masks.fuse(np.array([0.2, 0.8]), np.array([0, 1]), rule).segment_map_HW.tolist()
    [[1, 1]]
    """

    def __init__(self, masks_QHW: NDArray[np.floating]) -> None:
        if masks_QHW.ndim != 3 or not masks_QHW.size:
            raise ValueError(f"masks have the shape {masks_QHW.shape}, not [Q, H, W] with at least one of each")
        self.num_queries, height, width = masks_QHW.shape
        self.shape = (height, width)
        self._masks_QX = np.ascontiguousarray(masks_QHW, dtype=np.float32).reshape(self.num_queries, -1)
        inside_QX = self._masks_QX >= 0.5
        self._areas: list[int] = [int(np.count_nonzero(row)) for row in inside_QX]
        # A pixel's code encodes its query and whether that query's own mask is at least 0.5 there. The first query has
        # the largest code, so that it wins ties. One byte suffices for 128 queries.
        first_code = 2 * (self.num_queries - 1)
        codes = np.arange(first_code, -1, -2, dtype=np.uint8 if first_code < 255 else np.uint32)
        self._codes_QX: NDArray[np.unsignedinteger] = np.bitwise_or(codes[:, None], inside_QX)

    def fuse(self, scores: NDArray[np.floating], labels: NDArray[np.integer], rule: FusionRule) -> Fused:
        """Fuse the masks with these class scores; see `fuse`."""
        kept = self._kept(scores, labels, rule)
        return _fused(self._winners(scores, kept).reshape(self.shape), self._areas, kept, scores, labels, rule)

    def add_to(
        self,
        quality: PanopticQuality,
        label: PreparedLabel,
        scores: NDArray[np.floating],
        labels: NDArray[np.integer],
        rule: FusionRule,
    ) -> None:
        """Fuse the masks with these class scores and count the result against ``label``, without making the map.

        Raises:
            ValueError: label and masks differ in size.
        """
        self.add_each([quality], label, scores[None], labels[None], [rule])

    def add_each(
        self,
        counts: Sequence[PanopticQuality],
        label: PreparedLabel,
        scores_CQ: NDArray[np.floating],
        labels_CQ: NDArray[np.integer],
        rules: Sequence[FusionRule],
    ) -> None:
        """`add_to` for C candidates. Pixels that the same query wins for all of many candidates are counted once.

        Raises:
            ValueError: label and masks differ in size, or the candidates in number.
        """
        if self.shape != label.shape:
            raise ValueError(f"masks are {self.shape}, label is {label.shape}")
        if not scores_CQ.shape == labels_CQ.shape == (len(rules), self.num_queries):
            raise ValueError(
                f"{scores_CQ.shape} scores and {labels_CQ.shape} labels of {len(rules)} candidates for "
                f"{self.num_queries} queries"
            )
        kept_CQ = kept_by_each(scores_CQ, labels_CQ, rules)
        weights_CQ = scores_CQ.astype(np.float32)
        masks_QX, codes_QX, index_X = self._masks_QX, self._codes_QX, label.index_X
        settled: NDArray[np.intp] | int = 0
        code_X, is_open_X = self._settled(weights_CQ, kept_CQ)
        if not is_open_X.all():
            settled = _pixels(code_X[~is_open_X], index_X[~is_open_X], self.num_queries, label.num_columns)
            masks_QX, codes_QX, index_X = masks_QX[:, is_open_X], codes_QX[:, is_open_X], index_X[is_open_X]
        for quality, weights_Q, labels_Q, kept_Q, rule in zip(
            counts, weights_CQ, labels_CQ, kept_CQ, rules, strict=True
        ):
            kept = np.flatnonzero(kept_Q)
            code_X = _winners(masks_QX, codes_QX, weights_Q, kept)
            pixels_Q2G = settled + _pixels(code_X, index_X, self.num_queries, label.num_columns)
            segments = _segments(pixels_Q2G, self._areas, kept, labels_Q, rule)
            quality.add_counts(label, [s.pixels for s in segments], [s.class_id for s in segments])

    def _settled(
        self, weights_CQ: NDArray[np.float32], kept_CQ: NDArray[np.bool_]
    ) -> tuple[NDArray[np.unsignedinteger], NDArray[np.bool_]]:
        """The code [X] of the query that all candidates let win, and whether there may be none, bool [X].

        A query that all keep surely wins where its mask times its lowest score is above the masks of all others times
        their highest: a rounded product does not fall if a factor rises. There is no search for few candidates,
        and none beyond the first pixels if these are mostly open, as of a model that has not been trained.
        """
        always = np.flatnonzero(kept_CQ.all(axis=0))
        code_X: NDArray[np.unsignedinteger] = np.zeros(self._masks_QX.shape[1], dtype=self._codes_QX.dtype)
        is_open_X = np.ones(len(code_X), bool)
        if len(kept_CQ) < _MANY or not len(always):
            return code_X, is_open_X
        lowest_A1 = weights_CQ[:, always].min(axis=0)[:, None]
        highest_Q1 = np.where(kept_CQ, weights_CQ, 0).max(axis=0)[:, None]
        step = _step(self.num_queries)
        for start in range(0, len(code_X), step):
            block = slice(start, start + step)
            masks_QX = self._masks_QX[:, block]
            least_AX = masks_QX[always] * lowest_A1
            least_X = least_AX.max(axis=0)
            below_QX = masks_QX * highest_Q1 < least_X
            np.not_equal(
                below_QX.view(np.uint8).sum(axis=0, dtype=np.uint32), self.num_queries - 1, out=is_open_X[block]
            )
            if not start and np.count_nonzero(is_open_X[block]) > _OPEN * len(least_X):
                return code_X, np.ones(len(code_X), bool)
            _best(least_AX, least_X, self._codes_QX[always, block], code_X[block])
        return code_X, is_open_X

    def _kept(self, scores: NDArray[np.floating], labels: NDArray[np.integer], rule: FusionRule) -> NDArray[np.intp]:
        if scores.shape != (self.num_queries,) or labels.shape != (self.num_queries,):
            raise ValueError(f"{scores.shape} scores and {labels.shape} labels for {self.num_queries} queries")
        return kept_queries(scores, labels, rule)

    def _winners(self, scores: NDArray[np.floating], kept: NDArray[np.intp]) -> NDArray[np.unsignedinteger]:
        return _winners(self._masks_QX, self._codes_QX, scores.astype(np.float32), kept)


def _winners(
    masks_QX: NDArray[np.float32],
    codes_QX: NDArray[np.unsignedinteger],
    weights_Q: NDArray[np.float32],
    kept: NDArray[np.intp],
) -> NDArray[np.unsignedinteger]:
    """The code [X] of the kept query with the largest score * mask; 0 if none is kept."""
    num_pixels = masks_QX.shape[1]
    code_X: NDArray[np.unsignedinteger] = np.zeros(num_pixels, dtype=codes_QX.dtype)
    weights_K1 = weights_Q[kept][:, None]
    step = _step(len(kept))
    for start in range(0, num_pixels if len(kept) else 0, step):
        block = slice(start, start + step)
        weighted = masks_QX[kept, block]
        weighted *= weights_K1
        _best(weighted, weighted.max(axis=0), codes_QX[kept, block], code_X[block])
    return code_X


def _step(rows: int) -> int:
    """How many pixels of so many rows are computed at a time."""
    return max(1024, _BLOCK // max(1, rows))


def _best(
    weighted_KX: NDArray[np.float32],
    largest_X: NDArray[np.float32],
    codes_KX: NDArray[np.unsignedinteger],
    out: NDArray[np.unsignedinteger],
) -> None:
    """Write the largest code of the rows with the largest value: several times faster than argmax along that axis."""
    is_best = weighted_KX == largest_X
    (is_best.view(np.uint8) * codes_KX).max(axis=0, out=out)


class _Segment(NamedTuple):
    """A predicted segment: its class, its queries, and its pixels by column of the label."""

    class_id: int
    queries: list[int]
    pixels: list[int]


def kept_queries(scores: NDArray[np.floating], labels: NDArray[np.integer], rule: FusionRule) -> NDArray[np.intp]:
    """Select the queries whose best class is not no-object and has a score above the object threshold.

    >>> rule = FusionRule(np.array([True, False]), object_threshold=0.5, overlap_threshold=0.8)
    >>> kept_queries(np.array([0.9, 0.4, 0.8]), np.array([0, 1, 2]), rule).tolist()  # label 2 is no-object
    [0]
    """
    return np.flatnonzero(kept_by_each(scores[None], labels[None], [rule])[0])


def kept_by_each(
    scores_CQ: NDArray[np.floating], labels_CQ: NDArray[np.integer], rules: Sequence[FusionRule]
) -> NDArray[np.bool_]:
    """Whether each of C candidates, by its rule, keeps each query (`kept_queries`), bool [C, Q]."""
    thresholds_C = np.array([rule.object_threshold for rule in rules], scores_CQ.dtype)
    found: NDArray[np.bool_] = (labels_CQ != rules[0].num_classes) & (scores_CQ > thresholds_C[:, None])
    return found


def fuse_in_blocks(
    scores: NDArray[np.floating],
    labels: NDArray[np.integer],
    blocks: Iterable[NDArray[np.floating]],
    rule: FusionRule,
) -> Fused:
    """`fuse` with masks given in blocks of rows, for images whose masks do not fit into memory.

    Args:
        scores: [Q].
        labels: [Q].
        blocks: masks [Q, h, W] of the rows from top to bottom.
        rule: thresholds and things.

    >>> scores, labels = np.array([0.9, 0.8]), np.array([0, 1])
    >>> rule = FusionRule(np.array([True, True]), object_threshold=0.5, overlap_threshold=0.5)
    >>> blocks = (np.array([[[0.9, 0.1]], [[0.1, 0.7]]]), np.array([[[0.8, 0.6]], [[0.1, 0.2]]]))
    >>> fuse_in_blocks(scores, labels, blocks, rule).segment_map_HW.tolist()
    [[1, 2], [1, 1]]
    """
    kept = kept_queries(scores, labels, rule)
    areas, codes = [0] * len(scores), []
    for masks_QhW in blocks:
        block = MaskSet(masks_QhW)
        areas = list(map(add, areas, block._areas))
        codes.append(block._winners(scores, kept).reshape(block.shape))
    return _fused(np.concatenate(codes), areas, kept, scores, labels, rule)


def _fused(
    code_HW: NDArray[np.unsignedinteger],
    areas: list[int],
    kept: NDArray[np.intp],
    scores: NDArray[np.floating],
    labels: NDArray[np.integer],
    rule: FusionRule,
) -> Fused:
    """Make segments from a map of codes (`MaskSet`), in the order of their first query."""
    num_queries = len(scores)
    pixels_Q21 = _pixels(code_HW.reshape(-1), 0, num_queries, 1)
    segments = _segments(pixels_Q21, areas, kept, labels, rule)
    id_of_code = np.zeros(2 * num_queries, dtype=np.int32)
    for segment_id, segment in enumerate(segments, start=1):
        for query in segment.queries:
            id_of_code[2 * (num_queries - 1 - query) + 1] = segment_id
    return Fused(
        id_of_code[code_HW],
        np.arange(1, len(segments) + 1),
        np.array([segment.class_id for segment in segments], dtype=np.int64),
        np.array([max(float(scores[query]) for query in segment.queries) for segment in segments]),
    )


def _pixels(
    code_X: NDArray[np.unsignedinteger], index_X: NDArray[np.integer] | int, num_queries: int, columns: int
) -> NDArray[np.intp]:
    """Pixels [Q, 2, columns] that each query wins, outside and inside its own mask, by column of the label."""
    place_X = code_X.astype(np.intp)
    place_X *= columns
    place_X += index_X
    counts = np.bincount(place_X, minlength=2 * num_queries * columns)
    return counts.reshape(num_queries, 2, columns)[::-1]


def _segments(
    pixels_Q2G: NDArray[np.intp],
    areas: list[int],
    kept: NDArray[np.intp],
    labels: NDArray[np.integer],
    rule: FusionRule,
) -> list[_Segment]:
    """Make segments from the kept queries, merging stuff, in the order of their first query.

    Args:
        pixels_Q2G: the result of `_pixels`.
        areas: [Q], pixels of each query's own mask.
        kept: [K], query indices.
        labels: [Q], class ids.
        rule: thresholds and things.
    """
    segments: list[_Segment] = []
    stuff: dict[int, _Segment] = {}
    rows = zip(kept.tolist(), labels[kept].tolist(), pixels_Q2G[kept].tolist(), strict=True)
    for query, class_id, (outside, inside) in rows:
        num_inside = sum(inside)
        won = num_inside + sum(outside)
        if not num_inside or won / areas[query] < rule.overlap_threshold:
            continue
        if class_id in stuff:
            merged = stuff[class_id]
            merged.queries.append(query)
            merged.pixels[:] = map(add, merged.pixels, inside)
            continue
        segments.append(_Segment(class_id, [query], inside))
        if not rule.isthing[class_id]:
            stuff[class_id] = segments[-1]
    return segments
