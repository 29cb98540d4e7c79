"""Matching and losses of all images and layers together equal those of MMDetection, which takes them one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from base_world import NUM_SEEN, SIDE, base, fresh_network, head_losses, losses_of, stripes
from benchmark_files import benchmark
from torch import Tensor

from scaseg_cli.base import mask_points
from scaseg_cli.base.mask_points import AnyPoints
from scaseg_cli.tasks import ZPS

LAYERS, QUERIES, CELLS = 3, 7, 16
# the class_ids of the stripes of each image
BATCHES = {
    "of different numbers": [(0, 1, 2), (3,), (1, 1, 0, 2, 3, 2)],
    "more segments than queries": [(0, 1, 2, 3, 0, 1, 2, 3, 0), (2, 1)],
    "with an image without segments": [(0, 3), (), (1,)],
}


def _logits(batch: int, seed: int, scale: float = 3.0) -> tuple[list[Tensor], list[Tensor]]:
    random = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> list[Tensor]:
        return [(torch.randn(*shape, generator=random) * scale).requires_grad_() for _ in range(LAYERS)]

    return drawn(batch, QUERIES, NUM_SEEN + 1), drawn(batch, QUERIES, CELLS, CELLS)


@pytest.mark.parametrize("of_images", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("seed", range(5))
def test_pairs_losses_and_gradients_are_those_of_mmdetection(of_images: list[tuple[int, ...]], seed: int) -> None:
    head = fresh_network(ZPS, base(num_queries=QUERIES, num_points=300), aligned=False).head
    samples = [stripes(ZPS, i, *ids, size=(SIDE - 4, SIDE))["data_samples"] for i, ids in enumerate(of_images)]
    found = []
    for way in ("before", "now"):
        class_logits, mask_logits = _logits(len(samples), seed)
        torch.manual_seed(seed)
        if way == "before":
            losses, pairs = benchmark("matching_before").losses_before(head, class_logits, mask_logits, samples)
        else:
            losses = head_losses(head, class_logits, mask_logits, samples)
            pairs = [head._pairs]
        gradients = torch.autograd.grad(sum(losses.values()), [*class_logits, *mask_logits])
        found.append((losses, pairs[-1], gradients))
    (before, old_pairs, old_gradients), (now, new_pairs, new_gradients) = found
    assert set(before) == set(now)
    for name, value in before.items():
        torch.testing.assert_close(now[name], value.reshape(()), rtol=1e-5, atol=1e-6)
    for old, new in zip(old_pairs, new_pairs, strict=True):
        assert np.array_equal(old, new)
    for old, new in zip(old_gradients, new_gradients, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("of_images", BATCHES.values(), ids=BATCHES)
def test_gradients_of_every_weight_are_those_of_mmdetection(of_images: list[tuple[int, ...]]) -> None:
    views = [stripes(ZPS, i, *ids) for i, ids in enumerate(of_images)]
    found = []
    for way in ("before", "now"):
        network = fresh_network(ZPS, base(num_queries=QUERIES, num_points=100), aligned=False)
        if way == "before":
            benchmark("matching_before").match_as_before(network.head)
        torch.manual_seed(1)
        sum(losses_of(network, *views).values()).backward()
        found.append({name: weight.grad for name, weight in network.named_parameters() if weight.requires_grad})
    before, now = found
    assert any(float(gradient.abs().max()) > 0.1 for gradient in before.values())
    for name, gradient in before.items():
        torch.testing.assert_close(now[name], gradient, rtol=1e-3, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


def test_every_layer_has_the_pairs_of_mmdetection(monkeypatch: pytest.MonkeyPatch) -> None:
    head = fresh_network(ZPS, base(num_queries=QUERIES), aligned=False).head
    samples = [stripes(ZPS, i, *ids)["data_samples"] for i, ids in enumerate(BATCHES["of different numbers"])]
    class_logits, mask_logits = _logits(len(samples), 9)
    paired = []
    monkeypatch.setattr(head, "_on_device", lambda pairs, device: paired.extend(pairs) or on_device(pairs, device))
    on_device = type(head)._on_device.__get__(head)
    torch.manual_seed(1)
    _, before = benchmark("matching_before").losses_before(head, class_logits, mask_logits, samples)
    torch.manual_seed(1)
    head_losses(head, class_logits, mask_logits, samples)
    assert len(paired) == len(before) == LAYERS
    for old, new in zip(before, paired, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(old, new, strict=True))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_no_costs(value: float) -> None:
    head = fresh_network(ZPS, base(num_queries=QUERIES), aligned=False).head
    class_logits, mask_logits = _logits(1, 0)
    mask_logits[1].data[0, 3] = value
    with pytest.raises(FloatingPointError, match="infinite or NaN"):
        head_losses(head, class_logits, mask_logits, [stripes(ZPS, 1, 0, 1)["data_samples"]])


def test_a_point_between_pixels_is_covered_as_an_interpolated_mask_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_points, "_MASK_PIXELS", 4 * SIDE * SIDE)  # four masks at a time
    sample = stripes(ZPS, 1, 0, 1, 2, size=(SIDE, SIDE - 10))["data_samples"]
    points = AnyPoints([sample, sample])
    places = 2 * torch.rand(6, 500, 2, generator=torch.Generator().manual_seed(0)) - 1
    places[:, 0], places[:, 1], places[:, 2] = -1.0, 1.0, 0.0  # the corners of the image, and the border of a pixel
    segment = torch.tensor([0, 1, 2, 0, 1, 2])
    found = points.covered(places, torch.tensor([0, 0, 0, 1, 1, 1]), segment)
    masks = sample.masks()[segment].float()
    expected = torch.nn.functional.grid_sample(masks[:, None], places[:, :, None], align_corners=False)[:, 0, :, 0]
    torch.testing.assert_close(found, expected)
    each = points.covered_by_each(places[[0, 3]], 3)
    for segment_of_both in range(3):
        both = torch.tensor([segment_of_both] * 2)
        torch.testing.assert_close(each[:, segment_of_both], points.covered(places[[0, 3]], torch.tensor([0, 1]), both))


def test_an_image_with_more_segments_than_a_byte_counts_changes_nothing_for_another() -> None:
    few = stripes(ZPS, 0, 0, 1, 2)["data_samples"]
    many = few._replace(numbers=torch.arange(few.numbers.numel(), dtype=torch.int32).view_as(few.numbers) % 300 + 1)
    alone, beside = AnyPoints([few]), AnyPoints([few, many])
    points = 2 * torch.rand(2, 50, 2) - 1
    assert torch.equal(alone.covered_by_each(points[:1], 3)[0], beside.covered_by_each(points, 3)[0])
    segments = torch.tensor([255, 299])  # numbers 256 and 300, which a byte would turn into 0 and 44
    found = beside.covered(points, torch.tensor([1, 1]), segments)
    own = (many.numbers == segments[:, None, None] + 1).float()
    assert torch.equal(found, beside.logits_at(own[:, None], points)[:, 0])
