"""Intersection over union of semantic segmentation, counted as MMSegmentation's IoUMetric does.

Only labelled pixels count, over all images. The IoU of class k is the number of pixels that both label and prediction
assign to k, divided by the number that either assigns to k. Its accuracy is the same number divided by the number that
the label assigns to k. A class in neither label nor prediction has no IoU, a class in no label has no accuracy, and
means leave such values out.

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
    """The labelled pixels of an image.

    Attributes:
        shape: (H, W).
        pixels_L: their indices in the flat image, ascending.
        class_ids_L: the class of each pixel.
    """

    shape: tuple[int, int]
    pixels_L: NDArray[np.intp]
    class_ids_L: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassIoU:
    """IoU, accuracy and pixel counts by class, each [N].

    Attributes:
        iou: NaN for a class in neither label nor prediction.
        acc: NaN for a class in no label.
        right: pixels that both label and prediction assign to the class.
        labelled, predicted: labelled pixels that the label or the prediction assigns to the class.
    """

    iou: Floats
    acc: Floats
    right: NDArray[np.int64]
    labelled: NDArray[np.int64]
    predicted: NDArray[np.int64]


def semantic_label(label_HW: Ints, segment_ids: ArrayLike, class_ids: ArrayLike) -> SemanticLabel:
    """Prepare an image's label for comparison with any number of predictions.

    Args:
        label_HW: segment ids, 0 = no label.
        segment_ids: [G], the listed segments.
        class_ids: [G]; several segments may have the same class.

    Raises:
        ValueError: the lists differ in length, an id is repeated or 0, or an id of the map is not listed.

    >>> label = semantic_label(np.array([[0, 7], [9, 9]]), [7, 9], [4, 1])
    >>> label.pixels_L.tolist(), label.class_ids_L.tolist()
    ([1, 2, 3], [4, 1, 1])
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
    """Counts pixels by labelled and predicted class.

    Attributes:
        array: [N, N] integers, the complete counts: one row per labelled class, one column per predicted class. The
            arrays of several processes are summed.
        unpredicted: [N] integers, labelled pixels for which nothing is predicted; our own predictions have none.

    >>> confusion = Confusion(num_classes=2)
    >>> label = semantic_label(np.array([[1, 1, 2, 0]]), [1, 2], [0, 1])
    >>> confusion.add(label, np.array([0, 1, 1, 0]))  # the last pixel has no label
    >>> confusion.array.tolist()
    [[1, 1], [0, 1]]
    >>> confusion.per_class().iou.tolist(), confusion.per_class().acc.tolist()
    ([0.5, 0.5], [0.5, 1.0])
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.array = np.zeros((num_classes, num_classes), dtype=np.int64)
        self.unpredicted = np.zeros(num_classes, dtype=np.int64)

    def add(self, label: SemanticLabel, predicted_X: Ints) -> None:
        """Count one image.

        Args:
            label: the image's label.
            predicted_X: the predicted class of every pixel, flat.

        Raises:
            ValueError: the number of pixels differs from the label's, or a class id is out of range.
        """
        predicted_L = _predicted_at_labels(label, predicted_X, self.num_classes)
        index_L = label.class_ids_L * self.num_classes + predicted_L
        self.array += np.bincount(index_L, minlength=self.array.size).reshape(self.array.shape)

    def add_counts(self, labelled_G: Ints, predicted_K: Ints, pixels_GK: Ints) -> None:
        """Add pixels that are counted already.

        Args:
            labelled_G: labelled classes, each once.
            predicted_K: predicted classes, each once.
            pixels_GK: labelled pixels of each pair.
        """
        self.array[np.ix_(labelled_G, predicted_K)] += pixels_GK

    def per_class(self) -> ClassIoU:
        """Compute IoU and accuracy of each class from all images so far."""
        right, labelled, predicted = (
            self.array.diagonal().copy(),
            self.array.sum(1) + self.unpredicted,
            self.array.sum(0),
        )
        return _class_iou(right, labelled, predicted)


class PixelCounts:
    """Counts the pixels of each class that its IoU needs: three numbers a class, where a `Confusion` has N.

    Attributes:
        array: [3, N] integers, the complete counts: pixels that label and prediction assign to the class, pixels that
            the label does, pixels that the prediction does. The arrays of several processes are summed.

    >>> counts = PixelCounts(num_classes=2)
    >>> label = semantic_label(np.array([[1, 1, 2, 0]]), [1, 2], [0, 1])
    >>> counts.add(label, np.array([0, 1, 1, 0]))  # the last pixel has no label
    >>> counts.array.tolist()
    [[1, 1], [2, 1], [1, 2]]
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.array = np.zeros((3, num_classes), dtype=np.int64)

    def add(self, label: SemanticLabel, predicted_X: Ints) -> None:
        """Count one image; see `Confusion.add`."""
        predicted_L = _predicted_at_labels(label, predicted_X, self.num_classes)
        right_L = label.class_ids_L[label.class_ids_L == predicted_L]
        for row_N, classes_L in zip(self.array, (right_L, label.class_ids_L, predicted_L), strict=True):
            row_N += np.bincount(classes_L, minlength=self.num_classes)

    def add_counts(self, labelled_G: Ints, predicted_K: Ints, pixels_GK: Ints) -> None:
        """Add pixels that are counted already; see `Confusion.add_counts`."""
        right, labelled, predicted = self.array
        right[labelled_G] += (pixels_GK * (labelled_G[:, None] == predicted_K)).sum(1)
        labelled[labelled_G] += pixels_GK.sum(1)
        predicted[predicted_K] += pixels_GK.sum(0)

    def per_class(self) -> ClassIoU:
        """Compute IoU and accuracy of each class from all images so far."""
        return _class_iou(*self.array.copy())


def _predicted_at_labels(label: SemanticLabel, predicted_X: Ints, num_classes: int) -> Ints:
    """The predicted class of each labelled pixel, [L].

    Raises:
        ValueError: the number of pixels differs from the label's, or a class id is out of range.
    """
    height, width = label.shape
    if predicted_X.shape != (height * width,):
        raise ValueError(f"{predicted_X.shape} predicted pixels for a label of {label.shape}")
    predicted_L = predicted_X[label.pixels_L]
    for classes_L in (label.class_ids_L, predicted_L):
        if classes_L.size and not 0 <= classes_L.min() <= classes_L.max() < num_classes:
            raise ValueError(f"class ids {classes_L.min()}..{classes_L.max()} for {num_classes} classes")
    return predicted_L


def _class_iou(right: NDArray[np.int64], labelled: NDArray[np.int64], predicted: NDArray[np.int64]) -> ClassIoU:
    iou, acc = _ratio(right, labelled + predicted - right), _ratio(right, labelled)
    return ClassIoU(iou, acc, right, labelled, predicted)


def _ratio(part_N: NDArray[np.int64], whole_N: NDArray[np.int64]) -> Floats:
    """part / whole, NaN where whole is 0."""
    ratio_N = np.full(len(part_N), np.nan)
    np.divide(part_N, whole_N, out=ratio_N, where=whole_N > 0)
    return ratio_N
