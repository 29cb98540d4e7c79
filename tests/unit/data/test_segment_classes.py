"""Counts over all segments of a set, against a slow count of the records."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from scaseg_cli.data.records import ImageRecord, Segment, SegmentClasses

CLASSES = (1, 7, 30, 200, 2**40)


@pytest.fixture(params=range(5))
def images(request) -> list[ImageRecord]:
    drawn = np.random.default_rng(request.param)
    return [
        ImageRecord(
            place, "a.jpg", "a.png", 4, 4,
            tuple(Segment(i + 1, int(drawn.choice(CLASSES[:-1]))) for i in range(drawn.integers(0, 6))),
        )
        for place in range(12)
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", [(), (7,), (1, 200), CLASSES])
def test_counts_equal_those_of_a_loop_over_the_records(images, wanted):
    table = SegmentClasses.of(images)
    each = [[segment.category_id for segment in record.segments] for record in images]
    assert table.counts() == Counter(category_id for ids in each for category_id in ids)
    assert table.images_with(wanted).tolist() == [any(i in wanted for i in ids) for ids in each]
    assert table.images_with(wanted, other=True).tolist() == [any(i not in wanted for i in ids) for ids in each]
    several = Counter(i for ids in each for i, count in Counter(ids).items() if count > 1 and i in wanted)
    assert table.images_with_several(wanted) == several


@pytest.mark.parametrize("images", [[], [ImageRecord(1, "a.jpg", "a.png", 4, 4, ())]])
def test_a_set_without_segments_counts_nothing(images):
    table = SegmentClasses.of(images)
    assert table.counts() == table.images_with_several(CLASSES) == Counter()
    assert table.images_with(CLASSES).tolist() == [False] * len(images)
