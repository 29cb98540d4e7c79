"""Panoptic quality by the rules of COCO's panoptic evaluation (Kirillov et al., Panoptic Segmentation, section 4).

For one image and one class, with V the label's void pixels:

- a predicted segment p and a labelled segment g of the same class match if |p & g| / |(p - V) | g| > 0.5; at most one
  pair of each segment can match;
- a labelled crowd region neither matches nor counts as missed;
- an unmatched labelled segment is a false negative (FN);
- an unmatched predicted segment is a false positive (FP), unless more than half of it is on void and on the crowd
  region of its own class. If an image has several crowd regions of one class, only the last one listed counts here, as
  in panopticapi.

PQ = sum of IoU / (TP + FP/2 + FN/2), SQ = sum of IoU / TP (0 without a TP), RQ = TP / (TP + FP/2 + FN/2). A class
without TP, FP and FN over all images is absent and left out of every mean; a class with only false positives is present
and has PQ 0.

Sums of IoU are integers in units of 2^-40, so they do not depend on the order of images or the number of processes.
Rounding changes each IoU by at most 5e-13; a sum has room for 2^23 of them.

Shapes: H W image, X = H * W pixels, G labelled segments, S predicted segments, N classes. 0 is void in both maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaseg_cli.measures.shared_pixels import run_starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]
_IOU_BITS = 40


@dataclass(frozen=True, eq=False)
class LabelSegments:
    """The data of an image's labelled segments that counting needs.

    Attributes:
        areas: [1 + G], pixels of each column: 0 is void, 1 + g is segment g.
        columns: the columns of each class's segments without crowd regions, by class id.
        crowd_column: the column of each class's crowd region, by class id.
    """

    areas: list[int]
    columns: dict[int, list[int]]
    crowd_column: dict[int, int]

    @property
    def num_columns(self) -> int:
        """Number of columns, 1 + G."""
        return len(self.areas)


@dataclass(frozen=True, eq=False)
class PreparedLabel(LabelSegments):
    """An image's label, prepared for comparison with any number of predictions.

    Attributes:
        shape: (H, W).
        index_X: the column of each pixel: 0 on void, 1 + g on segment g.
    """

    shape: tuple[int, int]
    index_X: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ClassQuality:
    """Panoptic quality by class, each [N]; pq, sq and rq are NaN for absent classes (no TP, FP, FN)."""

    pq: Floats
    sq: Floats
    rq: Floats
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    iou_sum: Floats

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each class is present, and so counts in a mean."""
        return (self.tp + self.fp + self.fn) > 0


def prepare_label(label_HW: Ints, segment_ids: ArrayLike, class_ids: ArrayLike, iscrowd: ArrayLike) -> PreparedLabel:
    """Prepare a label for `PanopticQuality.add_prepared`.

    Args:
        label_HW: segment ids, 0 = void.
        segment_ids: [G], the listed segments. One without a pixel counts as missed, as in panopticapi.
        class_ids: [G].
        iscrowd: [G], true for crowd regions.

    Raises:
        ValueError: the lists differ in length, an id is repeated or 0, or an id of the map is not listed.

    >>> label = prepare_label(np.array([[0, 7, 7], [9, 9, 7]]), [7, 9], [0, 2], [False, True])
    >>> label.areas, label.columns, label.crowd_column
    ([1, 3, 2], {0: [1]}, {2: 2})
    >>> label.index_X.tolist()
    [0, 1, 1, 2, 2, 1]
    """
    ids = np.asarray(segment_ids, dtype=np.int64).reshape(-1)
    classes = np.asarray(class_ids, dtype=np.int64).reshape(-1)
    crowd = np.asarray(iscrowd, dtype=bool).reshape(-1)
    if not len(ids) == len(classes) == len(crowd):
        raise ValueError(f"{len(ids)} labelled segments with {len(classes)} class ids and {len(crowd)} crowd flags")
    index_X = dense_index(label_HW, ids, "label")
    found = label_segments(np.bincount(index_X, minlength=len(ids) + 1).tolist(), classes.tolist(), crowd.tolist())
    height, width = label_HW.shape
    return PreparedLabel(found.areas, found.columns, found.crowd_column, (height, width), index_X)


def label_segments(areas: list[int], class_ids: Sequence[int], iscrowd: Sequence[bool]) -> LabelSegments:
    """Group an image's labelled segments by class, without a map.

    Args:
        areas: [1 + G], pixels of void and of each segment, in the order of the segments.
        class_ids: [G].
        iscrowd: [G], true for crowd regions.

    >>> label_segments([0, 40, 30, 5], [1, 1, 2], [False, False, True])
    LabelSegments(areas=[0, 40, 30, 5], columns={1: [1, 2]}, crowd_column={2: 3})
    """
    columns: dict[int, list[int]] = {}
    crowd_column: dict[int, int] = {}
    for column, (class_id, is_crowd) in enumerate(zip(class_ids, iscrowd, strict=True), start=1):
        if is_crowd:
            crowd_column[class_id] = column
        else:
            columns.setdefault(class_id, []).append(column)
    return LabelSegments(areas, columns, crowd_column)


def dense_index(map_HW: Ints, ids: NDArray[np.int64], what: str) -> NDArray[np.intp]:
    """Convert a map of segment ids to 0 on void and 1 + the index of the id in ``ids``, flat [X].

    Args:
        map_HW: segment ids, 0 = void.
        ids: the listed segments.
        what: the name of the map in error messages.

    Raises:
        ValueError: ``ids`` has a repeated, negative or zero id, or the map has an id that is not in ``ids``.

    >>> dense_index(np.array([[0, 9], [5, 5]]), np.array([9, 5]), "label").tolist()
    [0, 1, 2, 2]
    """
    if map_HW.ndim != 2:
        raise ValueError(f"{what} map has the shape {map_HW.shape}, not [H, W]")
    flat = map_HW.reshape(-1)
    order = np.argsort(ids, kind="stable")
    known = np.concatenate([[0], ids[order]])
    if len(known) > 1 and np.diff(known).min() <= 0:
        raise ValueError(f"{what} segment ids must be positive and distinct: {ids.tolist()}")
    starts = run_starts(flat)  # segments are flat areas: looking up runs is four times faster than pixels
    values_R = flat[starts]
    place = np.searchsorted(known, values_R)
    place[place == len(known)] = 0
    if stray := np.unique(values_R[known[place] != values_R]).tolist():
        raise ValueError(f"{what} map has segments that are not listed: {stray[:5]}")
    return np.repeat(np.concatenate([[0], order + 1])[place], np.diff(starts, append=len(flat)))


def pq_of(counts: NDArray[np.int64] | Floats) -> Floats:
    """PQ by class, [..., N], of counts as in `PanopticQuality.array`, [..., 4, N]; NaN for absent classes.

    >>> pq_of(np.array([[1, 0], [0, 0], [1, 0], [3 << 38, 0]])).tolist()  # an IoU of 3/4, and a segment missed
    [0.5, nan]
    """
    tp, fp, fn, iou_units = np.moveaxis(counts, -2, 0)
    weight = tp + 0.5 * fp + 0.5 * fn
    pq = np.full(weight.shape, np.nan)
    np.divide(iou_units / 2.0**_IOU_BITS, weight, out=pq, where=weight > 0)
    return pq


class PanopticQuality:
    """Counts TP, FP, FN and IoU by class over images.

    Attributes:
        array: [4, N] integers, the complete counts: TP, FP, FN and the sum of IoU in units of 2^-40. The arrays of
            several processes are summed.

    >>> quality = PanopticQuality(num_classes=2)
    >>> label, prediction = np.array([[1, 1, 1, 2]]), np.array([[1, 1, 2, 2]])
    >>> quality.add(label, [1, 2], [0, 1], [False, False], prediction, [1, 2], [0, 1])
    >>> quality.array[:3].tolist()  # TP, FP, FN: class 0 matches with IoU 2/3, class 1 has IoU 1/2
    [[1, 0], [0, 1], [0, 1]]
    >>> quality.per_class().pq.round(3).tolist()
    [0.667, 0.0]
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.array = np.zeros((4, num_classes), dtype=np.int64)
        self.tp, self.fp, self.fn, self._iou_units = self.array

    @property
    def iou_sum(self) -> Floats:
        """Sum of IoU over the matched segments, by class [N]."""
        return self._iou_units / 2.0**_IOU_BITS

    def add(
        self,
        label_HW: Ints,
        label_ids: ArrayLike,
        label_class_ids: ArrayLike,
        iscrowd: ArrayLike,
        prediction_HW: Ints,
        prediction_ids: ArrayLike,
        prediction_class_ids: ArrayLike,
    ) -> None:
        """Count one image; see `prepare_label` and `add_prepared`."""
        label = prepare_label(label_HW, label_ids, label_class_ids, iscrowd)
        self.add_prepared(label, prediction_HW, prediction_ids, prediction_class_ids)

    def add_prepared(
        self, label: PreparedLabel, prediction_HW: Ints, segment_ids: ArrayLike, class_ids: ArrayLike
    ) -> None:
        """Count one image.

        Args:
            label: the image's label.
            prediction_HW: predicted segment ids, 0 = nothing predicted.
            segment_ids: [S], the listed segments.
            class_ids: [S].

        Raises:
            ValueError: map and label differ in size, the lists differ in length, a listed segment has no pixel, a
                segment of the map is not listed, or a class id is out of range.
        """
        ids = np.asarray(segment_ids, dtype=np.int64).reshape(-1)
        classes = np.asarray(class_ids, dtype=np.int64).reshape(-1)
        if prediction_HW.shape != label.shape:
            raise ValueError(f"prediction is {prediction_HW.shape}, label is {label.shape}")
        if len(ids) != len(classes):
            raise ValueError(f"{len(ids)} predicted segments with {len(classes)} class ids")
        columns = label.num_columns
        index_X = dense_index(prediction_HW, ids, "prediction")
        pixels = np.bincount(index_X * columns + label.index_X, minlength=(len(ids) + 1) * columns)
        self.add_counts(label, pixels.reshape(-1, columns)[1:].tolist(), classes.tolist())

    def add_counts(self, label: LabelSegments, pixels: Sequence[Sequence[int]], class_ids: Sequence[int]) -> int:
        """Count one image from the pixels that each predicted segment shares with each labelled one.

        It is plain Python, which is faster than arrays for the few segments of an image.

        Args:
            label: the image's labelled segments.
            pixels: [S][1 + G] ints; column 0 is void, column 1 + g is labelled segment g. A further column is labelled
                pixels of no segment.
            class_ids: [S], class of each predicted segment.

        Returns:
            The number of matches.

        Raises:
            ValueError: a predicted segment has no pixel, or a class id is out of range.
        """
        self._check(class_ids)
        self._check([*label.columns, *label.crowd_column])
        if not all(map(any, pixels)):
            raise ValueError(f"a listed segment has no pixel: {[list(row) for row in pixels]}")
        matched: set[int] = set()
        for row, class_id in zip(pixels, class_ids, strict=True):
            area = sum(row)
            for column in label.columns.get(class_id, ()):
                shared = row[column]
                union = area - row[0] + label.areas[column] - shared
                if 2 * shared > union:
                    self.tp[class_id] += 1
                    self._iou_units[class_id] += ((shared << _IOU_BITS + 1) + union) // (2 * union)
                    matched.add(column)
                    break  # labelled segments do not overlap: no second one can exceed a half
            else:
                crowd = label.crowd_column.get(class_id)
                forgiven = row[0] + (row[crowd] if crowd is not None else 0)
                if 2 * forgiven <= area:
                    self.fp[class_id] += 1
        for class_id, columns in label.columns.items():
            self.fn[class_id] += sum(column not in matched for column in columns)
        return len(matched)

    def _check(self, class_ids: Iterable[int]) -> None:
        for class_id in class_ids:
            if not 0 <= class_id < self.num_classes:
                raise ValueError(f"class id {class_id} is not one of 0..{self.num_classes - 1}")

    def per_class(self) -> ClassQuality:
        """Compute PQ, SQ and RQ of each class from all images so far."""
        weight = self.tp + 0.5 * self.fp + 0.5 * self.fn
        absent = np.where(weight > 0, 0.0, np.nan)
        iou_sum = self.iou_sum
        pq = pq_of(self.array)
        rq = np.divide(self.tp, weight, out=absent.copy(), where=weight > 0)
        sq = np.divide(iou_sum, self.tp, out=absent.copy(), where=self.tp > 0)
        return ClassQuality(pq, sq, rq, self.tp.copy(), self.fp.copy(), self.fn.copy(), iou_sum)
