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
    """Pixels [1 + S, 1 + G] by predicted and labelled segment (0 is void), and the values that are not listed."""

    pixels: NDArray[np.int64]
    stray_prediction: list[int]
    stray_label: list[int]


def run_starts(*maps: Ints) -> NDArray[np.intp]:
    """Find where runs begin, ascending from 0: within a run, no map [X] changes.

    >>> run_starts(np.array([5, 5, 5, 0]), np.array([1, 1, 2, 2])).tolist()
    [0, 2, 3]
    """
    changes = np.zeros(max(len(maps[0]) - 1, 0), dtype=bool)
    for values in maps:
        changes |= values[1:] != values[:-1]
    starts = np.flatnonzero(changes)
    starts += 1
    return np.concatenate([np.zeros(1, np.intp), starts])


def shared_pixels(prediction_X: Ints, prediction_ids: Ints, label_X: Ints, label_ids: Ints) -> Shared:
    """Count the pixels that segments share.

    Args:
        prediction_X: one value per pixel.
        prediction_ids: [1 + S], the value of void, then of each segment; distinct, of the map's dtype.
        label_X: one value per pixel.
        label_ids: [1 + G], like ``prediction_ids``.

    Returns:
        The counts. Pixels with a value that is not listed count as void, and the value is reported.

    >>> shared = shared_pixels(np.array([4, 4, 8, 3]), np.array([0, 4, 8]), np.array([0, 6, 6, 6]), np.array([0, 6]))
    >>> shared.pixels.tolist()
    [[0, 1], [1, 1], [0, 1]]
    >>> shared.stray_prediction, shared.stray_label
    ([3], [])
    """
    starts = run_starts(prediction_X, label_X)
    lengths = np.diff(starts, append=len(label_X))
    rows_R, stray_prediction = _places(prediction_X[starts], prediction_ids)
    columns_R, stray_label = _places(label_X[starts], label_ids)
    num_columns = len(label_ids)
    # bincount sums in float64, in which integers below 2^53 are exact.
    counts = np.bincount(rows_R * num_columns + columns_R, lengths, minlength=len(prediction_ids) * num_columns)
    return Shared(counts.astype(np.int64).reshape(-1, num_columns), stray_prediction, stray_label)


def _places(values_R: Ints, ids: Ints) -> tuple[NDArray[np.intp], list[int]]:
    """The index of each value in ``ids``, 0 if it is not listed, and the values that are not listed."""
    order = ids.argsort()
    known = ids[order]
    place = known.searchsorted(values_R)
    place[place == len(known)] = 0
    strange = known[place] != values_R
    places_R = order[place]
    if not strange.any():
        return places_R, []
    places_R[strange] = 0
    return places_R, np.unique(values_R[strange]).tolist()
