"""The order of training images, and augmentation."""

import numpy as np
import pytest

from scaseg_cli.base.samples import SampleOrder
from scaseg_cli.base.views import augmented
from scaseg_cli.recipe import load_recipe


def _keys(*args, **kwargs):
    return [key for batch in SampleOrder(*args, **kwargs) for key in batch]


def test_every_image_comes_once_an_epoch_in_an_order_of_its_own():
    keys = _keys(6, 4, 0, 0, 6)  # 24 samples: four epochs of six
    epochs = [[image for image, _ in keys[first : first + 6]] for first in range(0, 24, 6)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [position for _, position in keys] == list(range(24))


def test_a_resumed_order_goes_on_where_it_was():
    whole = list(SampleOrder(7, 3, 5, 0, 10))
    assert list(SampleOrder(7, 3, 5, 6, 10)) == whole[6:]


def test_processes_share_each_batch_of_the_single_process():
    whole = list(SampleOrder(9, 4, 3, 0, 5))
    parts = [list(SampleOrder(9, 4, 3, 0, 5, rank, 2)) for rank in range(2)]
    assert all(sorted(a + b) == sorted(all_) for a, b, all_ in zip(*parts, whole, strict=True))
    assert all(len(a) == len(b) == 2 for a, b in zip(*parts, strict=True))


def test_another_seed_gives_another_order():
    assert _keys(50, 5, 0, 0, 10) != _keys(50, 5, 1, 0, 10)


@pytest.mark.parametrize("size", [(40, 60), (64, 64), (200, 90)])
def test_augmentation_moves_image_and_label_alike(size):
    base = load_recipe(None, ("base.scale=[0.5, 2.0]",)).base
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
