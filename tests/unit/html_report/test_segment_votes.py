import numpy as np
import pytest
import torch

from scaseg_cli.html_report.segment_votes import Parts, labelled_parts, queries_of, votes_of
from scaseg_cli.measures.fusion import Prediction

LABEL = np.array([[7, 7, 7, 0], [9, 9, 4, 4]])
IDS, CLASSES = np.array([4, 7, 9, 2]), np.array([1, 0, 1, 2])  # segment 2 has no pixel
NO_CROWD = np.zeros(4, bool)


def prediction(map_HW, *class_ids):
    return Prediction(np.array(map_HW, np.int32), np.array(class_ids, np.int64))


def test_only_segments_with_a_pixel_are_parts():
    parts = labelled_parts(LABEL, IDS, CLASSES, NO_CROWD, by_class=False)
    assert parts.class_ids.tolist() == [1, 0, 1]
    assert parts.index_X.tolist() == [2, 2, 2, 0, 3, 3, 1, 1]


def test_a_crowd_region_has_no_vote():
    parts = labelled_parts(LABEL, IDS, CLASSES, np.array([False, True, False, False]), by_class=False)
    assert parts.class_ids.tolist() == [1, 1]
    assert parts.index_X.tolist() == [0, 0, 0, 0, 2, 2, 1, 1]


def test_a_semantic_label_has_one_part_per_class():
    parts = labelled_parts(LABEL, IDS, CLASSES, NO_CROWD, by_class=True)
    assert parts.class_ids.tolist() == [0, 1]
    assert parts.index_X.tolist() == [1, 1, 1, 0, 2, 2, 2, 2]


def test_an_image_without_segments_has_no_part():
    parts = labelled_parts(np.zeros((2, 2), int), np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool), False)
    assert parts.class_ids.tolist() == []
    assert votes_of(parts, prediction([[0, 1], [1, 1]], 0), 3).tolist() == []
    query, iou = queries_of(parts, torch.ones(2, 2, 2))
    assert len(query) == len(iou) == 0


def test_a_segment_votes_for_the_class_of_most_of_its_pixels():
    parts = labelled_parts(LABEL, IDS, CLASSES, NO_CROWD, by_class=False)
    found = prediction([[1, 1, 2, 2], [0, 0, 0, 3]], 2, 0, 1)
    # segment 7: two pixels of class 2, one of class 0; segment 9: nothing; segment 4: one pixel nothing, one class 1
    assert votes_of(parts, found, 3).tolist() == [1, 2, 3]


def test_pixels_of_two_segments_of_one_class_count_together():
    parts = Parts(np.array([1] * 5), np.array([0]))
    assert votes_of(parts, prediction([[1, 1, 2, 3, 3]], 1, 2, 2), 4).tolist() == [2]


def test_the_query_of_a_segment_is_the_one_with_the_largest_iou():
    parts = labelled_parts(LABEL, IDS, CLASSES, NO_CROWD, by_class=False)
    masks = np.zeros((3, 2, 4), np.float32)
    masks[0, 0, :2] = 0.5  # two of segment 7's three pixels
    masks[1, 0, :] = 0.9  # all three and one more
    masks[2, 1, 2:] = 0.49  # below a half: no pixel
    query, iou = queries_of(parts, torch.from_numpy(masks))
    assert query[1] == 1
    assert iou.tolist() == pytest.approx([0.0, 3 / 4, 0.0])
