"""How many pixels each predicted segment shares with each labelled one, from two maps, in one pass over both.

Segments are flat areas, so that two maps hold a few thousand *runs*: stretches of pixels along the rows over which
neither changes. Where runs begin is found by comparing neighbours, and all else is done once a run, not once a pixel.
Shapes: X pixels, R runs, G labelled segments, S predicted segments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]


class Shared(NamedTuple):
    """Pixels [1 + S, 1 + G] by predicted and labelled segment, 0 being void, and values that are of no segment."""

    pixels: NDArray[np.int64]
    stray_prediction: list[int]
    stray_label: list[int]


def run_starts(*maps: Ints) -> NDArray[np.intp]:
    """Where runs begin, ascending from 0: no map [X] changes between one begin and the next."""
    changes = np.zeros(max(len(maps[0]) - 1, 0), dtype=bool)
    for values in maps:
        changes |= values[1:] != values[:-1]
    starts = np.flatnonzero(changes)
    starts += 1
    return np.concatenate([np.zeros(1, np.intp), starts])


def shared_pixels(prediction_X: Ints, prediction_ids: Ints, label_X: Ints, label_ids: Ints) -> Shared:
    """Count the pixels that segments share.

    Args:
        prediction_X: a value a pixel.
        prediction_ids: [1 + S] the value of void, then of each segment; unlike each other, of the map's type.
        label_X: a value a pixel.
        label_ids: [1 + G], likewise.

    Returns:
        The counts; pixels with a value that is not listed count as void, and the values are named.
    """
    starts = run_starts(prediction_X, label_X)
    lengths = np.diff(starts, append=len(label_X))
    rows_R, stray_prediction = _places(prediction_X[starts], prediction_ids)
    columns_R, stray_label = _places(label_X[starts], label_ids)
    num_columns = len(label_ids)
    # Sums of whole numbers below 2^53 are exact in the float64 that bincount adds in.
    counts = np.bincount(rows_R * num_columns + columns_R, lengths, minlength=len(prediction_ids) * num_columns)
    return Shared(counts.astype(np.int64).reshape(-1, num_columns), stray_prediction, stray_label)


def _places(values_R: Ints, ids: Ints) -> tuple[NDArray[np.intp], list[int]]:
    """The place of each value in ``ids``, 0 where it is not among them, and those values."""
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
