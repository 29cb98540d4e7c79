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
    """Arrays that are reused from image to image, because the memory of new ones costs more than the counting."""

    def __init__(self) -> None:
        self._changes = np.empty((2, 0), bool)

    def changes(self, length: int) -> NDArray[np.bool_]:
        """Two rows of ``length`` values, valid until the next call; their contents are arbitrary."""
        if self._changes.shape[1] < length:
            self._changes = np.empty((2, length), bool)
        return self._changes[:, :length]


def run_starts(*maps: Ints, scratch: Scratch | None = None) -> NDArray[np.intp]:
    """Find where runs begin, ascending from 0: within a run, no map [X] changes.

    >>> run_starts(np.array([5, 5, 5, 0]), np.array([1, 1, 2, 2])).tolist()
    [0, 2, 3]
    """
    changes, of_map = (scratch or Scratch()).changes(max(len(maps[0]), 1))
    changes[0], first = True, maps[0]
    np.not_equal(first[1:], first[:-1], out=changes[1:])
    for values in maps[1:]:
        np.not_equal(values[1:], values[:-1], out=of_map[1:])
        np.logical_or(changes[1:], of_map[1:], out=changes[1:])
    return np.flatnonzero(changes)


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
    starts = run_starts(prediction_X, label_X, scratch=scratch)
    lengths = np.empty(len(starts), np.intp)
    np.subtract(starts[1:], starts[:-1], out=lengths[:-1])
    lengths[-1] = len(label_X) - starts[-1]
    num_columns = len(label_ids) + 1
    rows_R, stray_prediction = _places(prediction_X[starts], prediction_ids, stray=0)
    columns_R, stray_label = _places(label_X[starts], label_ids, stray=num_columns - 1)
    rows_R *= num_columns
    rows_R += columns_R
    # bincount sums in float64, in which integers below 2^53 are exact.
    counts = np.bincount(rows_R, lengths, minlength=len(prediction_ids) * num_columns)
    return Shared(counts.astype(np.int64).reshape(-1, num_columns), stray_prediction, stray_label)


def _places(values_R: Ints, ids: Ints, stray: int) -> tuple[NDArray[np.intp], list[int]]:
    """The index of each value in ``ids``, ``stray`` if it is not listed, and the values that are not listed."""
    order = ids.argsort()
    known = ids[order]
    place = known.searchsorted(values_R)
    place[place == len(known)] = 0
    strange = known[place] != values_R
    places_R = order[place]
    if not strange.any():
        return places_R, []
    places_R[strange] = stray
    return places_R, np.unique(values_R[strange]).tolist()
