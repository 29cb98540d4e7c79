"""Pixels that segments share, counted run by run, are those counted pixel by pixel."""

import numpy as np
import pytest

from scaseg_cli.measures.shared_pixels import Scratch, run_starts, shared_pixels


def ints(values) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def test_runs_end_where_either_map_changes():
    assert run_starts(ints([7, 7, 7, 2, 2, 2]), ints([1, 1, 3, 3, 3, 1])).tolist() == [0, 2, 3, 5]
    assert run_starts(ints([4])).tolist() == [0]


def test_shared_pixels_of_a_few_segments():
    prediction, label = ints([5, 5, 9, 0, 0, 9]), ints([0, 8, 8, 8, 0, 3])
    shared = shared_pixels(prediction, ints([0, 9, 5]), label, ints([0, 8, 3]))
    assert shared.pixels.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0]]
    assert shared.stray_prediction == shared.stray_label == []


def test_values_that_are_not_listed_are_named():
    shared = shared_pixels(ints([5, 1, 9, 9]), ints([0, 5]), ints([2, 2, 4, 3]), ints([0, 2]))
    assert shared.stray_prediction == [1, 9]
    assert shared.stray_label == [3, 4]
    assert shared.pixels.tolist() == [[0, 1, 2], [0, 1, 0]]  # strays of the label have a column of their own


def test_a_listed_segment_without_a_pixel_has_zeros():
    shared = shared_pixels(ints([5, 5]), ints([0, 5, 6]), ints([0, 0]), ints([0]))
    assert shared.pixels.tolist() == [[0, 0], [2, 0], [0, 0]]


@pytest.mark.parametrize("table_bits", [None, 24])
@pytest.mark.parametrize("side", [1, 2, 37])
def test_any_maps_are_counted_as_pixel_by_pixel(side, table_bits):
    """With a table too, whose scratch is reused from map to map of several sizes."""
    rng = np.random.default_rng(side)
    scratch = Scratch(table_bits)
    run_starts(ints([1] * 5000), scratch=scratch)
    for flat in (True, False):
        ids = (rng.choice(1 << 24, 7, replace=False) + 0xFF000000).astype(np.uint32)
        maps = rng.choice(ids, (2, side * side))
        if flat:
            maps = np.sort(maps, axis=1)
        expected = [[int(((maps[0] == p) & (maps[1] == q)).sum()) for q in ids[3:]] for p in ids[:5]]
        keep = np.isin(maps[0], ids[:5]) & np.isin(maps[1], ids[3:])
        shared = shared_pixels(maps[0][keep], ids[:5], maps[1][keep], ids[3:], scratch) if keep.any() else None
        if shared is not None:
            assert shared.pixels[:, :-1].tolist() == expected
            assert not shared.pixels[:, -1].any()


@pytest.mark.parametrize("table_bits", [None, 24])
def test_more_segments_than_a_table_has_places(table_bits):
    values = np.arange(70_000, dtype=np.uint32)
    shared = shared_pixels(values, values, values[:1].repeat(70_000), values[:1], Scratch(table_bits))
    assert shared.pixels.tolist() == [[1, 0]] * 70_000
    assert shared.stray_prediction == shared.stray_label == []


@pytest.mark.parametrize("length", [1, 7, 8, 9, 64, 1001])
def test_runs_of_any_length(length):
    values = np.random.default_rng(length).integers(0, 3, length).repeat(2)[:length]
    expected = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()]
    assert run_starts(values).tolist() == expected
