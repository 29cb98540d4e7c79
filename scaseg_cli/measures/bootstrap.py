"""Intervals of the seen, unseen and harmonic measure over images, by the bootstrap (Efron, 1979).

A validation set is a sample: other photographs would give other figures. Images are drawn with replacement, as many as
there are, and the measure is computed over each draw. All classifiers share the draws, so that differences are paired.
An interval says nothing about the spread over training seeds.

Shapes: I images, M counts of a class, N classes, B draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.measures.measure import Measure

Floats = NDArray[np.float64]
GROUPS = ("seen", "unseen", "harmonic")
DRAWS = 1000
_OUTSIDE = 2.5  # percent below the interval, and above
_DRAWS_AT_ONCE = 50
_BLOCK = 1 << 20  # counts of some images at a time, so that memory does not grow with the number of images


class Interval(NamedTuple):
    """The central 95 % of the draws, as fractions; NaN if no draw has a value."""

    low: float
    high: float


class ImageCounts:
    """The counts of one classifier by image. An image has only few of the classes, so that pairs are kept.

    Args:
        num_images: I.
        pairs_E: one row for each image and class with counts: index of the image, class id, M counts.

    >>> ImageCounts(2, np.array([[1, 0, 5, 6]])).dense(num_classes=2).tolist()
    [[[0, 0], [0, 0]], [[5, 0], [6, 0]]]
    """

    def __init__(self, num_images: int, pairs_E: NDArray[np.int64]) -> None:
        self.num_images = num_images
        self.pairs_E = pairs_E[np.argsort(pairs_E[:, 0], kind="stable")]

    @property
    def num_counts(self) -> int:
        """M."""
        return int(self.pairs_E.shape[1]) - 2

    def dense(self, num_classes: int, images: range | None = None) -> NDArray[np.int64]:
        """The counts of some images, or of all, [I, M, N]."""
        images = range(self.num_images) if images is None else images
        first, last = np.searchsorted(self.pairs_E[:, 0], (images.start, images.stop))
        pairs = self.pairs_E[first:last]
        counts_IMN = np.zeros((len(images), self.num_counts, num_classes), np.int64)
        counts_IMN[pairs[:, 0] - images.start, :, pairs[:, 1]] = pairs[:, 2:]
        return counts_IMN


def pairs_of(place: int, counts_MN: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `ImageCounts` for the image at ``place``, given its counts."""
    classes = np.flatnonzero(counts_MN.any(0))
    return np.column_stack((np.full(len(classes), place), classes, counts_MN[:, classes].T))


class Bootstrap:
    """Draws of images, and the measure of every classifier over each.

    Args:
        measure: the task's measure.
        counts: by the classifier's name; all of the same images.
        draws: B.
        seed: of the draws.

    Raises:
        ValueError: there is no classifier, or they differ in their number of images.
    """

    def __init__(
        self, measure: Measure[Any], counts: Mapping[str, ImageCounts], draws: int = DRAWS, seed: int = 0
    ) -> None:
        sizes = {found.num_images for found in counts.values()}
        if len(sizes) != 1:
            raise ValueError(f"counts of {sorted(sizes)} images cannot be compared")
        (num_images,) = sizes
        drawn_BI = _drawn(num_images, draws, seed)
        self._values = {name: self._means(measure, drawn_BI, found) for name, found in counts.items()}

    @staticmethod
    def _means(measure: Measure[Any], drawn_BI: NDArray[np.unsignedinteger], counts: ImageCounts) -> dict[str, Floats]:
        is_seen = measure.is_seen
        num_draws, num_images = drawn_BI.shape
        width = counts.num_counts * len(is_seen)
        sums = np.zeros((num_draws, width))
        step = max(1, _BLOCK // max(width, num_draws))
        for first in range(0, num_images, step):
            images = range(first, min(first + step, num_images))
            counts_IMN = counts.dense(len(is_seen), images)
            # float64 for a fast product; the sums stay below 2^53, or round alike
            weights_BI = drawn_BI[:, images.start : images.stop].astype(np.float64)
            sums += weights_BI @ counts_IMN.reshape(len(images), width).astype(np.float64)
        sums_BMN = sums.reshape(num_draws, counts.num_counts, len(is_seen))
        values_BN = measure.main_of(sums_BMN)
        seen, unseen = (_mean_of_present(values_BN[:, group]) for group in (is_seen, ~is_seen))
        total = seen + unseen
        harmonic = np.divide(2 * seen * unseen, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)
        return dict(zip(GROUPS, (seen, unseen, harmonic), strict=True))

    def interval(self, name: str, group: str, less: str | None = None) -> Interval:
        """The interval of a classifier's measure, or of its difference from the classifier ``less``."""
        values = self._values[name][group]
        if less is not None:
            values = values - self._values[less][group]
        values = values[~np.isnan(values)]
        if not len(values):
            return Interval(float("nan"), float("nan"))
        low, high = np.percentile(values, (_OUTSIDE, 100 - _OUTSIDE))
        return Interval(float(low), float(high))


def _drawn(num_images: int, draws: int, seed: int) -> NDArray[np.unsignedinteger]:
    """How often each image is in each draw, [B, I]; drawn a few draws at a time, as a byte each where that suffices."""
    random, found = np.random.default_rng(seed), []
    for first in range(0, draws, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, draws - first)
        weights_bI = random.multinomial(num_images, [1 / num_images] * num_images, size=size)
        found.append(weights_bI.astype(np.min_scalar_type(weights_bI.max())))
    return np.concatenate(found)


def _mean_of_present(values_BN: Floats) -> Floats:
    """The mean over the classes that have a value in a draw, [B]; NaN where none has."""
    there = ~np.isnan(values_BN)
    number = there.sum(1)
    total = np.where(there, values_BN, 0.0).sum(1)
    means_B = np.full(len(total), np.nan)
    np.divide(total, number, out=means_B, where=number > 0)
    return means_B
