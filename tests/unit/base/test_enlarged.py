"""Masks are enlarged as PyTorch does it, but each by itself: with the same bits among any other masks."""

import pytest
import torch
import torch.nn.functional as F

from scaseg_cli.base.segmentor import Encoded, enlarged

SIZES = [((6, 8), (24, 32)), ((16, 16), (64, 64)), ((7, 5), (20, 31)), ((30, 40), (11, 13)), ((1, 1), (9, 4))]


@pytest.mark.parametrize(("small", "size"), SIZES)
def test_equals_interpolate_up_to_rounding(small, size):
    logits = 8 * torch.randn(5, *small, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
    assert torch.allclose(enlarged(logits, size), expected, rtol=1e-6, atol=1e-5)
    rows = range(size[0] // 3, size[0])
    assert torch.equal(enlarged(logits, size, rows), enlarged(logits, size)[:, rows.start :])


def test_masks_of_its_own_size_are_not_touched():
    logits = torch.randn(2, 4, 5)
    assert enlarged(logits, (4, 5)) is logits


@pytest.mark.parametrize("size", [(61, 47), (64, 64), (11, 300)])
def test_a_querys_mask_does_not_depend_on_the_others(size):
    encoded = Encoded(torch.zeros(13, 1), 8 * torch.randn(13, 16, 16), (64, 64), (60, 64))
    whole = encoded.masks(size)
    assert whole.shape == (13, *size)
    assert 0 <= whole.min() <= whole.max() <= 1
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            for queries in ([0], [12], [3, 4, 9], list(range(0, 13, 2)), [12, 0]):
                assert torch.equal(encoded.masks(size, torch.tensor(queries)), whole[queries])
                assert torch.equal(encoded.logits(torch.tensor(queries)), encoded.logits()[queries])
    finally:
        torch.set_num_threads(threads)
