"""Intersection over union of semantic segmentation, counted as MMSegmentation's IoUMetric does.

For class k, over the pixels of all images that have a label: IoU is the pixels that label and prediction both call k,
divided by those that either calls k; accuracy is the same pixels divided by those that the label calls k. Pixels
without a label count nowhere, whatever is predicted there. A class that neither label nor prediction holds has no IoU,
one that no label holds has no accuracy, and both are left out of means.

Shapes: H W image, X = H * W pixels, L pixels with a label, G labelled segments, N classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaseg_cli.measures.panoptic_quality import dense_index

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SemanticLabel:
    """The pixels of an image that have a label.

    Attributes:
        shape: (H, W).
        pixels_L: their places in the flat image, ascending.
        class_ids_L: the class of each.
    """

    shape: tuple[int, int]
    pixels_L: NDArray[np.intp]
    class_ids_L: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassIoU:
    """Figures by class, each [N].

    Attributes:
        iou: NaN where neither label nor prediction holds the class.
        acc: NaN where no label holds the class.
        right: pixels that label and prediction both give the class.
        labelled, predicted: pixels that the one or the other gives it, of those with a label.
    """

    iou: Floats
    acc: Floats
    right: NDArray[np.int64]
    labelled: NDArray[np.int64]
    predicted: NDArray[np.int64]


def semantic_label(label_HW: Ints, segment_ids: ArrayLike, class_ids: ArrayLike) -> SemanticLabel:
    """An image's label, ready to be compared with any number of predictions.

    Args:
        label_HW: segment ids, 0 = no label.
        segment_ids: [G], the listed segments.
        class_ids: [G]; several segments may be of one class.

    Raises:
        ValueError: lists of unequal length, an id twice or 0, or an id in the map that is not listed.
    """
    ids = np.asarray(segment_ids, dtype=np.int64).reshape(-1)
    classes = np.asarray(class_ids, dtype=np.int64).reshape(-1)
    if len(ids) != len(classes):
        raise ValueError(f"{len(ids)} labelled segments with {len(classes)} class ids")
    index_X = dense_index(label_HW, ids, "label")
    pixels_L = np.flatnonzero(index_X)
    height, width = label_HW.shape
    return SemanticLabel((height, width), pixels_L, classes[index_X[pixels_L] - 1])


class Confusion:
    """Counts pixels by the class of their label and the class that is predicted.

    Attributes:
        array: [N, N] whole numbers, all that was counted: a row for each labelled, a column for each predicted class.
            Those of several processes are added up.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.array = np.zeros((num_classes, num_classes), dtype=np.int64)

    def add(self, label: SemanticLabel, predicted_X: Ints) -> None:
        """Count one image.

        Args:
            label: the image's label.
            predicted_X: the predicted class of every pixel, flat.

        Raises:
            ValueError: another number of pixels than the label has, or a class id is out of range.
        """
        height, width = label.shape
        if predicted_X.shape != (height * width,):
            raise ValueError(f"{predicted_X.shape} predicted pixels for a label of {label.shape}")
        predicted_L = predicted_X[label.pixels_L]
        for classes_L in (label.class_ids_L, predicted_L):
            if classes_L.size and not 0 <= classes_L.min() <= classes_L.max() < self.num_classes:
                raise ValueError(f"class ids {classes_L.min()}..{classes_L.max()} for {self.num_classes} classes")
        index_L = label.class_ids_L * self.num_classes + predicted_L
        self.array += np.bincount(index_L, minlength=self.array.size).reshape(self.array.shape)

    def per_class(self) -> ClassIoU:
        """IoU and accuracy of each class, from all images so far."""
        right, labelled, predicted = self.array.diagonal().copy(), self.array.sum(1), self.array.sum(0)
        return ClassIoU(
            _share(right, labelled + predicted - right), _share(right, labelled), right, labelled, predicted
        )


def _share(part_N: NDArray[np.int64], whole_N: NDArray[np.int64]) -> Floats:
    """part / whole, NaN where the whole is nothing."""
    ratio_N = np.full(len(part_N), np.nan)
    np.divide(part_N, whole_N, out=ratio_N, where=whole_N > 0)
    return ratio_N
