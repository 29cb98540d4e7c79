"""Positions that are kept are those that MMDetection computes in each pass."""

from __future__ import annotations

import torch
from mmdet.models.layers import SinePositionalEncoding

from scaseg_cli.base.positions import KeptPositions


def test_positions_are_those_of_mmdetection_for_any_number_of_sizes() -> None:
    ours, theirs = (kind(num_feats=8, normalize=True) for kind in (KeptPositions, SinePositionalEncoding))
    for _ in range(2):
        for size in range(2, 12):
            mask = torch.zeros(3, size, size + 1, dtype=torch.bool)
            assert torch.equal(ours(mask), theirs(mask))


def test_positions_of_a_pass_without_gradients_serve_training() -> None:
    positions, mask = KeptPositions(num_feats=8, normalize=True), torch.zeros(2, 3, 4, dtype=torch.bool)
    with torch.inference_mode():
        positions(mask)
    weight = torch.ones(16, 1, 1, requires_grad=True)
    (weight * positions(mask)).sum().backward()
    assert weight.grad is not None
