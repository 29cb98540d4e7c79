"""Counts the pixels that each predicted segment shares with each labelled one, in one pass over both maps.

Segments are flat areas, so two maps have only a few thousand *runs*: stretches of pixels along the rows in which
neither map changes. Comparing neighbours finds where runs begin. All other work is done per run, not per pixel.
Shapes: X pixels, R runs, G labelled segments, S predicted segments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]
_MAX_PLACE = 2**16 - 1  # of a table's 16-bit values


class Shared(NamedTuple):
    """Pixels by predicted and labelled segment, and the values that are not listed.

    Attributes:
        pixels: [1 + S, 1 + G + 1]. Row 0 is predicted void and values that are not listed. Column 0 is labelled void;
            the last column is labelled values that are not listed.
        stray_prediction, stray_label: the values that are not listed.
    """

    pixels: NDArray[np.int64]
    stray_prediction: list[int]
    stray_label: list[int]


class Scratch:
    """Arrays that are reused from image to image, because the memory of new ones costs more than the counting.

    Args:
        table_bits: look values up in a table by that many of their lower bits, which must tell them apart; None:
            search for them, which takes ten times as long.
    """

    def __init__(self, table_bits: int | None = None) -> None:
        self._changes = np.zeros((2, 0), bool)
        self._mask = 2**table_bits - 1 if table_bits is not None else 0
        # All 0 between calls. Only the pages that ids of some image fall into take memory.
        self._table = np.zeros(self._mask + 1, np.uint16)

    def changes(self, length: int) -> NDArray[np.bool_]:
        """Two rows of ``length`` values and, up to a multiple of 8, of false; valid until the next call."""
        padded = -(-length // 8) * 8
        if self._changes.shape[1] < padded:
            self._changes = np.zeros((2, padded), bool)
        self._changes[:, length:padded] = False
        return self._changes[:, :padded]

    def places(self, values_R: Ints, ids: Ints) -> NDArray[np.integer]:
        """1 + the index of each value in ``ids``; 0 if it is not listed."""
        if not self._mask or len(ids) > _MAX_PLACE:
            return _searched(values_R, ids)
        keys = ids & self._mask
        self._table[keys] = np.arange(1, len(ids) + 1)
        places_R = self._table.take(values_R & self._mask)
        self._table[keys] = 0
        return places_R


def _searched(values_R: Ints, ids: Ints) -> NDArray[np.intp]:
    order = ids.argsort()
    known = ids[order]
    place = known.searchsorted(values_R)
    place[place == len(known)] = 0
    return np.where(known[place] == values_R, order[place] + 1, 0)


def run_starts(*maps: Ints, scratch: Scratch | None = None) -> NDArray[np.intp]:
    """Find where runs begin, ascending from 0: within a run, no map [X] changes.

    >>> run_starts(np.array([5, 5, 5, 0]), np.array([1, 1, 2, 2])).tolist()
    [0, 2, 3]
    """
    length = len(maps[0])
    changes, of_map = (scratch or Scratch()).changes(max(length, 1))
    changes[0], first = True, maps[0]
    np.not_equal(first[1:], first[:-1], out=changes[1:length])
    for values in maps[1:]:
        np.not_equal(values[1:], values[:-1], out=of_map[1:length])
        np.logical_or(changes[1:length], of_map[1:length], out=changes[1:length])
    return _true_places(changes)


def _true_places(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`np.flatnonzero` of a multiple of 8 flags, in half its time where few are true: most groups of 8 are skipped."""
    eights = flags.view(np.uint64)
    found = (eights != 0).nonzero()[0]
    within = eights.take(found).view(bool).nonzero()[0]
    places: NDArray[np.intp] = found.take(within >> 3) << 3
    within &= 7
    places += within
    return places


def shared_pixels(
    prediction_X: Ints, prediction_ids: Ints, label_X: Ints, label_ids: Ints, scratch: Scratch | None = None
) -> Shared:
    """Count the pixels that segments share.

    Args:
        prediction_X: one value per pixel.
        prediction_ids: [1 + S], the value of void, then of each segment; distinct, of the map's dtype.
        label_X: one value per pixel.
        label_ids: [1 + G], like ``prediction_ids``.
        scratch: arrays to reuse, of one thread.

    >>> shared = shared_pixels(np.array([4, 4, 8, 3]), np.array([0, 4, 8]), np.array([0, 6, 6, 5]), np.array([0, 6]))
    >>> shared.pixels.tolist()
    [[0, 0, 1], [1, 1, 0], [0, 1, 0]]
    >>> shared.stray_prediction, shared.stray_label
    ([3], [5])
    """
    scratch = scratch or Scratch()
    starts = run_starts(prediction_X, label_X, scratch=scratch)
    lengths = np.empty(len(starts))  # what bincount sums: float64, in which integers below 2^53 are exact
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1] = len(label_X) - starts[-1]
    prediction_R, label_R = prediction_X.take(starts), label_X.take(starts)
    rows_R, columns_R = scratch.places(prediction_R, prediction_ids), scratch.places(label_R, label_ids)
    num_columns = len(label_ids) + 1
    index_R = rows_R * np.intp(num_columns)
    index_R += columns_R
    # Row and column 0 are values that are not listed; void comes next.
    counts = np.bincount(index_R, lengths, minlength=(len(prediction_ids) + 1) * num_columns)
    found = counts.astype(np.int64).reshape(-1, num_columns)
    pixels = np.concatenate((found[1:, 1:], found[1:, :1]), axis=1)
    stray_prediction: list[int] = []
    stray_label: list[int] = []
    if found[0].any():
        stray_prediction = np.unique(prediction_R[rows_R == 0]).tolist()
        pixels[0] += np.concatenate((found[0, 1:], found[0, :1]))
    if found[:, 0].any():
        stray_label = np.unique(label_R[columns_R == 0]).tolist()
    return Shared(pixels, stray_prediction, stray_label)
