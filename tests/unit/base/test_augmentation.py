"""One training view: its crop, and its labels for each host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from base_world import NUM_SEEN, SIDE, UNSEEN, stripes

from scaseg_cli.base.augmentation import augmented, panoptic_segments, semantic_segments, training_view
from scaseg_cli.data.records import ImageRecord, Segment
from scaseg_cli.recipe import load_recipe
from scaseg_cli.tasks import ZPS, ZSS


@pytest.mark.parametrize("resize", ["longer", "shorter"])
@pytest.mark.parametrize("size", [(40, 60), (64, 64), (200, 90)])
def test_augmentation_moves_image_and_label_alike(size: tuple[int, int], resize: str) -> None:
    base = load_recipe(None, ("base.scale=[0.5, 2.0]", f"base.resize={resize}")).base
    rng = np.random.default_rng(0)
    label = np.arange(1, 5, dtype=np.int32).reshape(2, 2).repeat(size[0] // 2, 0).repeat(size[1] // 2, 1)
    image = np.repeat((label * 50).astype(np.uint8)[..., None], 3, axis=2)
    for _ in range(20):
        out_image, out_label = augmented(image, label, base, rng)
        assert out_image.shape[:2] == out_label.shape
        assert max(out_label.shape) <= base.crop
        # bilinear edges differ from nearest ones; inside regions they agree
        agree = np.abs(out_image[..., 0].astype(int) - out_label * 50) < 3
        assert agree.mean() > 0.8


@pytest.mark.parametrize(
    ("resize", "size", "expected"),
    [
        ("longer", (40, 80), (32, 64)),  # fits the crop
        ("shorter", (40, 80), (64, 64)),  # covers it
        ("shorter", (8, 80), (26, 64)),  # its longer side grows to four crops and no more
    ],
)
def test_which_side_is_brought_to_the_crop(resize: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    base = load_recipe("shapes-zps", ("base.scale=[1.0, 1.0]", f"base.resize={resize}")).base
    assert base.crop == SIDE
    image, label = np.zeros((*size, 3), np.uint8), np.ones(size, np.int32)
    assert augmented(image, label, base, np.random.default_rng(0))[1].shape == expected


def _segments(*category_ids: int) -> tuple[Segment, ...]:
    return tuple(Segment(i + 1, category_id, 1, False) for i, category_id in enumerate(category_ids))


def test_a_semantic_label_has_seen_classes_alone() -> None:
    # category 50 is class 2, 60 the unseen class; 70 is no class; a crowd of 50 has no place in a label of classes
    label = np.array([[1, 1, 2], [3, 0, 4]], np.int32)
    segments = (*_segments(50, 60, 70), Segment(4, 50, 1, True))
    record = ImageRecord(7, "7.png", "7.png", 3, 2, segments)
    image = np.full((2, 3, 3), 9, np.uint8)
    segments = semantic_segments(record, label, {50: 2, 60: UNSEEN}, NUM_SEEN)
    view = training_view(image, segments, 4, 7, list_labelled=True)
    found = view["data_samples"]
    expected = torch.zeros(4, 4, dtype=torch.uint8)
    expected[0, :2] = 1
    assert torch.equal(found.numbers, expected)
    assert found.labels.tolist() == [2]
    assert found.labelled.tolist() == [0, 1]
    assert (found.view_shape, found.image_id) == ((2, 3), 7)
    assert view["inputs"].shape == (3, 4, 4)
    assert bool((view["inputs"][:, :2, :3] == 9).all())
    assert int(view["inputs"].sum()) == 9 * 18


def test_a_panoptic_sample_of_an_unseen_class_stops_the_training() -> None:
    record = ImageRecord(7, "7.png", "7.png", 2, 1, _segments(1, UNSEEN))
    label = np.array([[1, 2]], np.int32)
    with pytest.raises(AssertionError, match="image 7 contains an unseen class"):
        panoptic_segments(record, label, {1: 1, UNSEEN: UNSEEN}, NUM_SEEN)


def test_both_samples_say_the_same_of_the_same_view() -> None:
    panoptic, semantic = (stripes(task, 1, 2, 0, 3, size=(30, 48)) for task in (ZPS, ZSS))
    assert torch.equal(panoptic["inputs"], semantic["inputs"])
    painted = []
    for view in (panoptic, semantic):
        found = view["data_samples"]
        label = torch.full((SIDE, SIDE), UNSEEN)
        for class_id, mask in zip(found.labels, found.masks(), strict=True):
            label[mask] = class_id
        painted.append(label)
        assert found.view_shape == (30, 48)
    assert torch.equal(*painted)
    assert panoptic["data_samples"].labels.tolist() == [2, 0, 3]  # in the annotation's order
    assert semantic["data_samples"].labels.tolist() == [0, 2, 3]  # one for each class
    assert panoptic["data_samples"].labelled is None


@pytest.mark.parametrize("number", [4, 300])  # one byte a pixel, and more
def test_segments_without_a_pixel_in_the_view_are_left_out(number: int) -> None:
    label = np.arange(1, number + 1, dtype=np.int32).reshape(1, -1).repeat(2, 0) * 70_000 // 7
    segments = tuple(Segment(int(value), 1, 1, 0) for value in label[0])
    record = ImageRecord(7, "7.png", "7.png", number, 2, segments)
    found = panoptic_segments(record, label, {1: 1}, NUM_SEEN)
    crop = found._replace(numbers_HW=found.numbers_HW[:, 1:-1])
    view = training_view(np.zeros((2, number - 2, 3), np.uint8), crop, number, 7)["data_samples"]
    assert len(view.labels) == number - 2
    assert view.numbers[0].tolist() == [*range(1, number - 1), 0, 0]
    assert torch.equal(view.masks().sum((1, 2)), torch.full((number - 2,), 2))


def test_ids_of_pixels_that_no_segment_has_are_no_segment() -> None:
    record = ImageRecord(7, "7.png", "7.png", 3, 1, _segments(1, 2)[:1])
    found = panoptic_segments(record, np.array([[5, 1, 0]], np.int32), {1: 1}, NUM_SEEN)
    assert found.numbers_HW.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("largest", [2**24 - 1, 2**24])  # the last id of a panoptic PNG, and none of one
def test_ids_of_one_image_are_no_segments_of_the_next(largest: int) -> None:
    first, second = (
        ImageRecord(7, "7.png", "7.png", 3, 1, tuple(Segment(i, 1, 1, False) for i in ids))
        for ids in ((largest, 1), (2, 1))
    )
    label = np.array([[largest, 2, 1]], np.int32)
    assert panoptic_segments(first, label, {1: 1}, NUM_SEEN).numbers_HW.tolist() == [[1, 0, 2]]
    assert panoptic_segments(second, label, {1: 1}, NUM_SEEN).numbers_HW.tolist() == [[0, 1, 2]]
