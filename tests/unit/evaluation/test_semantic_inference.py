"""Semantic inference and its figures by group, on synthetic masks."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from segmentor_outputs import masks_of

from scaseg_cli.evaluation.semantic_inference import SemanticInference
from scaseg_cli.measures.mean_iou import Confusion
from scaseg_cli.measures.result_table import class_table, columns_of
from scaseg_cli.measures.semantic import SemanticMeasure
from scaseg_cli.split.classes import SegmentArrays

IS_SEEN = np.array([True, True, False])
CPU = torch.device("cpu")


@pytest.fixture
def measure():
    return SemanticMeasure(IS_SEEN)


def prepared(measure, label, masks):
    ids = np.array(sorted(set(np.unique(label).tolist()) - {0}), np.int64)
    segments = SegmentArrays(ids, ids - 1, np.zeros(len(ids), bool))
    return SemanticInference(measure, CPU).prepare(label, segments, masks_of(masks))


def test_a_pixel_gets_the_class_with_the_largest_sum_over_queries(measure):
    """One query favours class 0, but two less confident queries for class 1 outweigh it; no-object is not summed."""
    masks = torch.tensor([[[0.9, 0.9]], [[0.8, 0.1]], [[0.8, 0.1]]])
    probabilities = torch.tensor([[0.5, 0.1, 0.0, 0.4], [0.1, 0.3, 0.0, 0.6], [0.0, 0.3, 0.0, 0.7]])
    image = prepared(measure, np.array([[2, 1]]), masks)
    # left: 0.45 + 0.08 = 0.53 and 0.09 + 0.24 + 0.24 = 0.57; right: 0.46 and 0.15
    assert image.classes(probabilities).tolist() == [1, 0]


def test_ties_go_to_the_first_class(measure):
    image = prepared(measure, np.array([[1]]), torch.ones(1, 1, 1))
    assert image.classes(torch.tensor([[0.2, 0.4, 0.4, 0.0]])).tolist() == [1]


@pytest.mark.parametrize("num_classes", [5, 300])
def test_equals_a_loop_over_pixels(num_classes):
    random = torch.Generator().manual_seed(num_classes)
    masks = torch.rand(4, 9, 11, generator=random)
    probabilities = (3 * torch.randn(4, num_classes + 1, generator=random)).softmax(-1)
    image = prepared(SemanticMeasure(np.ones(num_classes, bool)), np.ones((9, 11), int), masks)
    found = image.classes(probabilities).reshape(9, 11)
    for row, column in product(range(9), range(11)):
        sums = [
            sum(float(probabilities[q, k]) * float(masks[q, row, column]) for q in range(4)) for k in range(num_classes)
        ]
        assert int(found[row, column]) == int(np.argmax(sums))


def test_equals_masks_and_scores_multiplied_at_once(measure):
    random = torch.Generator().manual_seed(7)
    masks, logits = torch.rand(6, 40, 70, generator=random), torch.randn(6, 4, generator=random)
    expected = torch.einsum("qk,qhw->khw", logits.softmax(-1)[:, :-1], masks).argmax(0)
    found = prepared(measure, np.ones((40, 70), int), masks).classes(logits.softmax(-1))
    assert (found.reshape(40, 70) == expected.numpy()).all()
    assert len(np.unique(found)) == 3


def test_a_result_does_not_depend_on_the_other_candidates(measure):
    random = torch.Generator().manual_seed(8)
    masks, label = torch.rand(6, 33, 35, generator=random), np.random.default_rng(0).integers(0, 4, (33, 35))
    many = [torch.randn(6, 4, generator=random).softmax(-1) for _ in range(5)]
    image, together = prepared(measure, label, masks), [measure.new_counts() for _ in many]
    image.add(together, many, [()] * 5)
    for probabilities, found in zip(many, together, strict=True):
        alone = measure.new_counts()
        image.add([alone], [probabilities], [()])
        assert (alone.array == found.array).all()
        right, labelled, predicted = alone.array.sum(1)
        assert labelled == predicted == (label > 0).sum() > right


def test_figures_by_group(measure):
    counts = Confusion(3)
    counts.array[:] = [[6, 2, 0], [0, 4, 4], [0, 0, 10]]
    summary = measure.summarise(counts)
    # by class: IoU 6/8, 4/10, 10/14; accuracy 6/8, 4/8, 1
    assert summary.groups["seen"] == pytest.approx({"iou": (0.75 + 0.4) / 2, "acc": 0.625, "pixel_acc": 10 / 16})
    assert summary.groups["unseen"] == pytest.approx({"iou": 10 / 14, "acc": 1.0, "pixel_acc": 1.0})
    assert summary.groups["all"]["pixel_acc"] == pytest.approx(20 / 26)
    assert summary.groups["harmonic"]["pixel_acc"] == pytest.approx(2 * 0.625 / 1.625)
    assert (summary.seen, summary.unseen) == (summary.groups["seen"]["iou"], summary.groups["unseen"]["iou"])
    assert list(summary.as_json_value()) == ["seen", "unseen", "harmonic", "all"]


def test_counts_grow_with_the_classes_and_not_with_their_square():
    counts = SemanticMeasure(np.ones(1000, bool)).new_counts()
    assert counts.array.nbytes == 3 * 1000 * 8


def test_groups_without_pixels_have_no_value(measure):
    counts = measure.new_counts()
    counts.array[:, 0] = 5
    groups = measure.summarise(counts).groups
    assert groups["seen"] == {"iou": 1.0, "acc": 1.0, "pixel_acc": 1.0}
    assert all(map(math.isnan, [*groups["unseen"].values(), *groups["harmonic"].values()]))


def test_tables_have_the_measures_of_the_task(measure):
    titles = [column.title for column in columns_of(measure)[3:-1]]
    assert titles == ["sIoU", "uIoU", "hIoU", "sAcc", "uAcc", "hAcc", "sPixAcc", "uPixAcc", "hPixAcc"]
    assert [column.is_detail for column in columns_of(measure)[3:-1]] == [False] * 3 + [True] * 6
    counts = Confusion(3)
    counts.array[:2] = [[6, 2, 0], [0, 4, 4]]
    table = class_table("By class", measure, measure.summarise(counts), ["sky", "dog", "cow"])
    assert table.to_csv().splitlines()[1:] == [
        "sky,true,0.75,0.75,6,8,6",
        "dog,true,0.4,0.5,4,8,6",
        "cow,false,0.0,,0,0,4",
    ]


def test_a_prediction_has_one_region_per_class_and_covers_every_pixel(measure):
    masks = torch.zeros(2, 2, 4)
    masks[0, :, :3], masks[1, :, 3:] = 1.0, 1.0
    probabilities = torch.tensor([[0.1, 0.0, 0.8, 0.1], [0.6, 0.2, 0.1, 0.1]])
    found = prepared(measure, np.zeros((2, 4), int), masks).predict(probabilities, ())
    assert found.class_ids.tolist() == [0, 2]
    assert found.segment_map_HW.tolist() == [[2, 2, 2, 1]] * 2


def test_masks_must_have_the_size_of_the_label(measure):
    with pytest.raises(ValueError, match=r"masks are \(2, 3\), label is \(2, 4\)"):
        prepared(measure, np.ones((2, 4), int), torch.ones(1, 2, 3))
