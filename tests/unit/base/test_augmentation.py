"""One training view: its crop, and its labels for each host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from base_world import NUM_SEEN, SIDE, UNSEEN, stripes

from scaseg_cli.base.augmentation import IGNORED, augmented, panoptic_sample, semantic_sample
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
    view = semantic_sample(record, image, label, {50: 2, 60: UNSEEN}, NUM_SEEN, 4)
    found = view["data_samples"]
    expected = torch.full((1, 4, 4), IGNORED)
    expected[0, 0, :2] = 2
    assert torch.equal(found.gt_sem_seg.data, expected)
    assert (found.view_shape, found.image_id) == ((2, 3), 7)
    assert view["inputs"].shape == (3, 4, 4)
    assert bool((view["inputs"][:, :2, :3] == 9).all())
    assert int(view["inputs"].sum()) == 9 * 18


def test_a_panoptic_sample_of_an_unseen_class_stops_the_training() -> None:
    record = ImageRecord(7, "7.png", "7.png", 2, 1, _segments(1, UNSEEN))
    label = np.array([[1, 2]], np.int32)
    with pytest.raises(AssertionError, match="image 7 contains an unseen class"):
        panoptic_sample(record, np.zeros((1, 2, 3), np.uint8), label, {1: 1, UNSEEN: UNSEEN}, NUM_SEEN, 4)


def test_both_samples_say_the_same_of_the_same_view() -> None:
    panoptic, semantic = (stripes(task, 1, 2, 0, 3, size=(30, 48)) for task in (ZPS, ZSS))
    assert torch.equal(panoptic["inputs"], semantic["inputs"])
    instances, label = panoptic["data_samples"].gt_instances, semantic["data_samples"].gt_sem_seg.data[0]
    painted = torch.full_like(label, IGNORED)
    for class_id, mask in zip(instances.labels, instances.masks, strict=True):
        painted[mask] = class_id
    assert torch.equal(painted, label)
    assert panoptic["data_samples"].view_shape == semantic["data_samples"].view_shape == (30, 48)
