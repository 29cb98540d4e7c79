"""Ignored pixels of a semantic sample: in no cost and no loss, or, as in MMSegmentation, background of all masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from base_world import SIDE, UNSEEN, base, fresh_network, head_losses, largest_gradient, losses_of, recipe, stripes
from torch import Tensor

from scaseg_cli.base.augmentation import Annotated
from scaseg_cli.base.dataset import collate
from scaseg_cli.base.ignored_pixels import LabelledPixels, drawn
from scaseg_cli.base.v2c import SegmentMap, masked_image
from scaseg_cli.tasks import ZSS

if TYPE_CHECKING:
    from scaseg_cli.base.aligned_network import AlignedNetwork

CELLS = SIDE // 2  # mask logits have half the resolution of the labels
NUM_QUERIES = 6


def _network(unseen_pixels: str, **changes: Any) -> AlignedNetwork:
    return fresh_network(ZSS, base(unseen_pixels=unseen_pixels, num_queries=NUM_QUERIES, **changes), aligned=False)


def _layer_losses(network: AlignedNetwork, class_logits: Tensor, mask_logits: Tensor, *views: Any) -> list[Tensor]:
    """Class, mask and dice loss of one decoder layer's logits [B, Q, ...], always with the same draws."""
    torch.manual_seed(5)
    samples = [view["data_samples"] for view in views]
    return list(head_losses(network.head, [class_logits], [mask_logits], samples).values())


def _random_logits() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.randn(1, NUM_QUERIES, 5), torch.randn(1, NUM_QUERIES, CELLS, CELLS, requires_grad=True)


# Half of the image is unseen. Logits there, but for the cells that an interpolation at the border reaches.
UNSEEN_HALF = (..., slice(CELLS // 2 + 1, CELLS))


@pytest.mark.parametrize("unseen_pixels", ["ignored", "negative"])
def test_predictions_at_unseen_pixels_matter_only_where_these_are_negative(unseen_pixels: str) -> None:
    network, view = _network(unseen_pixels), stripes(ZSS, 1, 0, 1, UNSEEN, UNSEEN)
    class_logits, mask_logits = _random_logits()
    losses = _layer_losses(network, class_logits, mask_logits, view)
    sum(losses).backward()
    changed = mask_logits.detach().clone()
    changed[UNSEEN_HALF] = 20.0
    after = _layer_losses(network, class_logits, changed, view)
    unchanged = [torch.equal(one, other) for one, other in zip(losses, after, strict=True)]
    assert mask_logits.grad is not None
    at_unseen = mask_logits.grad[UNSEEN_HALF].abs().max()
    assert float(mask_logits.grad.abs().max()) > 0
    if unseen_pixels == "ignored":
        assert unchanged[1:] == [True, True]
        assert float(at_unseen) == 0
    else:
        assert not unchanged[1]
        assert not unchanged[2]
        assert float(at_unseen) > 0


@pytest.mark.parametrize("unseen_pixels", ["ignored", "negative"])
def test_which_label_is_hidden_makes_no_difference(unseen_pixels: str) -> None:
    class_logits, mask_logits = _random_logits()
    nobody = 77  # a category of no class
    of_labels = [
        _layer_losses(_network(unseen_pixels), class_logits, mask_logits, stripes(ZSS, 1, 0, 1, hidden, nobody))
        for hidden in (UNSEEN, nobody)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*of_labels, strict=True))


@pytest.mark.parametrize(("unseen_pixels", "expected"), [("ignored", 3), ("negative", 5)])
def test_matching_leaves_ignored_pixels_out(unseen_pixels: str, expected: int) -> None:
    network, view = _network(unseen_pixels), stripes(ZSS, 1, 2, UNSEEN, UNSEEN, UNSEEN)
    mask_logits = torch.full((NUM_QUERIES, CELLS, CELLS), -8.0)
    mask_logits[3] = 8.0  # right wherever there is a label, and all over the rest
    mask_logits[5, :, : CELLS // 4] = 8.0
    mask_logits[5, 24:] = -8.0  # wrong at a quarter of the segment, and nowhere else
    _layer_losses(network, torch.zeros(1, NUM_QUERIES, 5), mask_logits[None], view)
    ((query, segment),) = network.head.last_matches(1)
    assert (query.tolist(), segment.tolist()) == ([expected], [0])


def test_means_are_over_labelled_pixels() -> None:
    logit = 0.7
    mask_logits = torch.full((1, NUM_QUERIES, CELLS, CELLS), logit)
    for ids in [(1,), (1, UNSEEN), (1, UNSEEN, UNSEEN, UNSEEN, UNSEEN, UNSEEN, UNSEEN, UNSEEN)]:
        # away from the image's edge, where interpolation mixes in zeros, every labelled pixel is a positive one
        view = stripes(ZSS, 1, *ids)
        numbers = view["data_samples"].numbers
        numbers[:2], numbers[-2:], numbers[:, :2], numbers[:, -2:] = (0,) * 4
        view["data_samples"] = view["data_samples"]._replace(labelled=numbers.flatten().nonzero()[:, 0])
        _, loss_mask, _ = _layer_losses(_network("ignored"), torch.zeros(1, NUM_QUERIES, 5), mask_logits, view)
        assert float(loss_mask) == pytest.approx(5.0 * math.log1p(math.exp(-logit)), rel=1e-4)


def test_without_ignored_pixels_the_losses_are_those_of_mmdetection() -> None:
    torch.manual_seed(0)
    coarse = torch.randn(2, NUM_QUERIES, 6, 6) * 3
    mask_logits = torch.nn.functional.interpolate(coarse, (CELLS, CELLS), mode="bilinear")
    class_logits = torch.randn(2, NUM_QUERIES, 5)
    views = [stripes(ZSS, 1, 0, 1, 2), stripes(ZSS, 2, 3, 0)]
    ours, theirs = (
        _layer_losses(_network(unseen_pixels, num_points=20_000), class_logits, mask_logits, *views)
        for unseen_pixels in ("ignored", "negative")
    )
    assert torch.equal(ours[0], theirs[0])
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        assert float(one) == pytest.approx(float(other), rel=0.02)


@pytest.mark.parametrize("unseen_pixels", ["ignored", "negative"])
@pytest.mark.parametrize("class_ids", [(), (UNSEEN,), (UNSEEN, 77)], ids=["void", "unseen", "both"])
@pytest.mark.parametrize("others", [(), (1, 0, UNSEEN)], ids=["alone", "beside one with segments"])
def test_an_image_of_ignored_pixels_alone_trains(
    unseen_pixels: str, class_ids: tuple[int, ...], others: tuple[int, ...]
) -> None:
    network = fresh_network(ZSS, base(unseen_pixels=unseen_pixels))
    losses = losses_of(network, stripes(ZSS, 1, *class_ids), *([stripes(ZSS, 2, *others)] if others else []))
    network.parse_losses(losses)[0].backward()
    assert all(math.isfinite(float(value)) for value in losses.values())
    assert (float(losses["loss_mask"]) == 0) == (not others)
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)
    assert math.isfinite(largest_gradient(network.head))  # each parameter has one, as processes that share need
    matches = network.head.last_matches(2 if others else 1)
    assert [len(query) for query, _ in matches] == ([0, 2] if others else [0])


@pytest.mark.parametrize("unseen_pixels", ["ignored", "negative"])
def test_a_query_on_ignored_pixels_is_not_taught_that_there_is_nothing(unseen_pixels: str) -> None:
    network, view = _network(unseen_pixels), stripes(ZSS, 1, 0, 1, UNSEEN, UNSEEN)
    class_logits = torch.randn(1, NUM_QUERIES, 5, requires_grad=True)
    mask_logits = torch.full((1, NUM_QUERIES, CELLS, CELLS), -8.0)
    for query, columns in enumerate([slice(0, 8), slice(8, 16), slice(20, 30), slice(4, 20), slice(14, 30)]):
        mask_logits[0, query, :, columns] = 8.0  # on each segment; on unseen; mostly on seen; mostly on unseen; nowhere
    loss_cls, _, _ = _layer_losses(network, class_logits, mask_logits, view)
    loss_cls.backward()
    assert class_logits.grad is not None
    taught = (class_logits.grad[0].abs().sum(1) > 0).tolist()
    hidden = unseen_pixels == "ignored"
    assert taught == [True, True, not hidden, True, not hidden, True]
    assert [null.tolist() for null in network.head.last_null(1)] == [[3, 5] if hidden else [2, 3, 4, 5]]
    weights = torch.tensor([1.0, 1.0, 0.1, 0.1, 0.1, 0.1]) * torch.tensor(taught)
    logits, labels = class_logits.detach()[0], torch.tensor([0, 1, 4, 4, 4, 4])
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert float(loss_cls) == pytest.approx(2.0 * float((each * weights).sum() / weights.sum()), rel=1e-5)


def test_points_are_labelled_pixels() -> None:
    pixels = torch.tensor([2 * 9 + 3, 2 * 9 + 4], dtype=torch.int32)
    assert set(drawn(pixels, 3, 50).flatten().tolist()) == set(pixels.tolist())
    assert drawn(pixels[:0], 1, 5).shape == (1, 5)  # of an image without labels, for which nothing is counted
    numbers = torch.zeros(6, 9, dtype=torch.uint8)
    numbers[2, 3:5] = 1
    points = LabelledPixels([Annotated(torch.tensor([0]), numbers, (6, 9), 1, pixels)])
    values = torch.arange(54.0).view(1, 1, 6, 9)
    everywhere = torch.arange(54)[None]
    torch.testing.assert_close(points.logits_at(values, everywhere)[0, 0], values.flatten())
    covered = points.covered(everywhere, torch.tensor([0]), torch.tensor([0]))
    assert torch.equal(covered[0].nonzero()[:, 0], pixels.long())


class _Recorder(torch.nn.Module):
    """Replaces V2C and keeps its inputs."""

    def forward(self, f_BQC: Tensor, matches: Any, images: list[Tensor], maps: list[SegmentMap]) -> Tensor:
        self.images, self.maps, self.matches = images, maps, matches
        return f_BQC.sum() * 0


def test_the_masked_view_of_v2c_keeps_seen_segments_alone() -> None:
    network, recorder = fresh_network(ZSS), _Recorder()
    network.v2c = recorder
    view = stripes(ZSS, 1, 3, UNSEEN, 1, size=(48, 60))
    losses_of(network, view, stripes(ZSS, 2, UNSEEN))
    image, segments = recorder.images[0], recorder.maps[0]
    assert view["data_samples"].labels.tolist() == [1, 3]
    assert segments.total == 2
    assert segments.numbers.shape == (48, 60)
    assert bool((segments.numbers[:, 20:40] == 0).all())
    assert bool((segments.numbers[:, 40:] == 1).all())
    assert bool((segments.numbers[:, :20] == 2).all())
    shown = view["inputs"][:, :48, :60] / 255.0
    torch.testing.assert_close(image, shown, atol=1e-5, rtol=0)  # the complete view has the unseen content
    cut = masked_image(image, segments, torch.tensor([True, True]), (0.5, 0.25, 0.75))
    assert torch.equal(cut[:, :, 20:40], torch.tensor([0.5, 0.25, 0.75])[:, None, None].expand(3, 48, 20))
    assert torch.equal(cut[:, :, :20], image[:, :, :20])
    assert recorder.maps[1].total == 0


def test_both_ways_have_the_same_weights() -> None:
    one, other = _network("ignored"), _network("negative")
    other.load_state_dict(one.state_dict())
    assert recipe().base.unseen_pixels == "ignored"


def test_queries_are_collected_without_ignored_pixels() -> None:
    network = _network("ignored").eval().requires_grad_(False)
    view = collate([stripes(ZSS, 1, 2, UNSEEN, UNSEEN, UNSEEN), stripes(ZSS, 2, UNSEEN)])
    features = network.extract_feat(torch.randn(2, 3, SIDE, SIDE))
    assert [len(query) for query, _ in network.head.match(features, view["data_samples"])] == [1, 0]
    assert network.head.last_null(2)[1].tolist() == []  # all of that image is ignored
