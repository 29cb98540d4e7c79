"""The order of training images."""

from scaseg_cli.base.dataset import SampleOrder


def _keys(*args, **kwargs):
    return [key for batch in SampleOrder(*args, **kwargs) for key in batch]


def test_every_image_comes_once_an_epoch_in_an_order_of_its_own():
    keys = _keys(6, 4, 0, 0, 6)  # 24 samples: four epochs of six
    epochs = [[image for image, _ in keys[first : first + 6]] for first in range(0, 24, 6)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [position for _, position in keys] == list(range(24))


def test_a_resumed_order_continues_where_it_stopped():
    whole = list(SampleOrder(7, 3, 5, 0, 10))
    assert list(SampleOrder(7, 3, 5, 6, 10)) == whole[6:]


def test_processes_share_each_batch_of_the_single_process():
    whole = list(SampleOrder(9, 4, 3, 0, 5))
    parts = [list(SampleOrder(9, 4, 3, 0, 5, rank, 2)) for rank in range(2)]
    assert all(sorted(a + b) == sorted(all_) for a, b, all_ in zip(*parts, whole, strict=True))
    assert all(len(a) == len(b) == 2 for a, b in zip(*parts, strict=True))


def test_another_seed_gives_another_order():
    assert _keys(50, 5, 0, 0, 10) != _keys(50, 5, 1, 0, 10)
