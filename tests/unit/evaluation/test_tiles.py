"""Semantic scoring by tiles: whole confusion arrays against a float64 loop over every pixel, and the full product."""

import numpy as np
import pytest
import torch
from benchmark_files import benchmark

from scaseg_cli.evaluation.semantic import pixel_classes, tiles
from scaseg_cli.evaluation.semantic.pixel_classes import by_class, product_on_cpu, product_on_device
from scaseg_cli.evaluation.semantic.tiles import TiledImage, are_faster
from scaseg_cli.evaluation.semantic_inference import SemanticImage
from scaseg_cli.measures.mean_iou import Confusion, SemanticLabel, semantic_label

SCORING, MADE_UP = benchmark("semantic_scoring"), benchmark("made_up_outputs")


def an_image(num_classes, num_queries, size, num_candidates, kind, seed=0):
    found = MADE_UP.made_up(num_classes, num_queries, size, num_candidates, kind, seed)
    label = semantic_label(found.label_HW, np.arange(1, len(found.class_ids_S) + 1), found.class_ids_S)
    return label, found.masks_QHW().flatten(1), found.probabilities


def by_a_loop(probabilities_QN1, masks_QX):
    """The rule as it is written: sums in float64, query after query; the first of equals."""
    sums_NX = np.zeros((probabilities_QN1.shape[1] - 1, masks_QX.shape[1]))
    for p_N, m_X in zip(probabilities_QN1[:, :-1].double().numpy(), masks_QX.double().numpy(), strict=True):
        sums_NX += p_N[:, None] * m_X
    return sums_NX.argmax(0)


def counted(num_classes, label, predicted_X):
    confusion = Confusion(num_classes)
    confusion.add(label, predicted_X)
    return confusion.array


def by_tiles(num_classes, label, masks_QX, probabilities):
    counts = [Confusion(num_classes) for _ in probabilities]
    TiledImage(label, masks_QX).add(counts, probabilities)
    return [confusion.array for confusion in counts]


@pytest.mark.parametrize("kind", ["trained", "untrained", "tied"])
@pytest.mark.parametrize(
    ("num_classes", "num_queries", "size"), [(30, 20, (97, 130)), (300, 9, (64, 66)), (3, 40, (5, 7)), (2, 1, (1, 1))]
)
def test_counts_equal_a_float64_loop_over_every_pixel(num_classes, num_queries, size, kind):
    label, masks_QX, probabilities = an_image(num_classes, num_queries, size, 3, kind)
    found = by_tiles(num_classes, label, masks_QX, probabilities)
    for array, probabilities_QN1 in zip(found, probabilities, strict=True):
        predicted_X = by_a_loop(probabilities_QN1, masks_QX)
        assert (array == counted(num_classes, label, predicted_X)).all()
        assert (pixel_classes.pixel_classes(probabilities_QN1, masks_QX) == predicted_X).all()


def test_tiles_decide_most_pixels_of_a_trained_model(monkeypatch):
    """Otherwise the test above would compare the product with itself."""
    label, masks_QX, probabilities = an_image(60, 30, (160, 160), 4, "trained")
    image, rows_KQ = TiledImage(label, masks_QX), by_class(probabilities[0])[0]
    left = image._after_tiles(rows_KQ)
    assert left is not None
    assert 0 < len(left.tiles) < 0.3 * len(left.class_T)
    assert len(left.classes) < 40
    monkeypatch.setattr(tiles, "product_on_cpu", None)
    by_tiles(60, label, masks_QX, probabilities)


def test_differs_from_the_product_in_float32_in_at_most_a_pixel_of_a_million():
    label, masks_QX, probabilities = an_image(40, 24, (256, 320), 12, "trained", seed=3)
    before = SCORING.counts_before(label, masks_QX, probabilities, 40)
    found = by_tiles(40, label, masks_QX, probabilities)
    moved = sum(int(np.abs(one.array - other).sum()) // 2 for one, other in zip(before, found, strict=True))
    assert moved <= 1


def tied_in_pairs(size):
    """Each class has a twin whose probabilities are those of the class with queries swapped, and so are the masks."""
    random = torch.Generator().manual_seed(1)
    half_Q = torch.rand(8, 6, generator=random)
    twins_Q = half_Q[:, [3, 4, 5, 0, 1, 2]]
    masks = torch.rand(3, size, generator=random) * torch.tensor([[1.0], [1e-3], [1e-6]])
    return torch.cat([half_Q, twins_Q]).T / 20, masks.repeat_interleave(2, 0)[[0, 2, 4, 1, 3, 5]]


def test_near_ties_are_summed_in_float64_in_the_order_of_the_queries():
    probabilities_QN, masks_QX = tied_in_pairs(3000)
    probabilities_QN1 = torch.cat([probabilities_QN, torch.zeros(6, 1)], 1)
    expected = by_a_loop(probabilities_QN1, masks_QX)
    assert 0 < (expected >= 8).sum() < 3000  # the sums of twins differ in their last bit, either way
    assert (pixel_classes.pixel_classes(probabilities_QN1, masks_QX) == expected).all()
    label = SemanticLabel((50, 60), np.arange(3000), np.zeros(3000, int))
    (found,) = by_tiles(16, label, masks_QX, [probabilities_QN1])
    assert (found == counted(16, label, expected)).all()


@pytest.mark.parametrize("product", [product_on_cpu, product_on_device])
def test_the_products_follow_the_rule_whatever_the_block(product, monkeypatch):
    probabilities_QN, masks_QX = tied_in_pairs(1500)
    rows_KQ = np.ascontiguousarray(probabilities_QN.T.numpy())
    expected = by_a_loop(torch.cat([probabilities_QN, torch.zeros(6, 1)], 1), masks_QX)
    for most_tied, block in ((1, 1 << 10), (100_000, 1 << 20)):
        monkeypatch.setattr(pixel_classes, "_MOST_TIED", most_tied)
        monkeypatch.setattr(pixel_classes, "_BLOCK_BYTES", block)
        monkeypatch.setattr(pixel_classes, "_LARGE_BLOCK", block)
        assert (product(rows_KQ, masks_QX) == expected).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-38, 1e-44, 0.0])
def test_sums_that_underflow_are_decided_in_float64(scale):
    label, masks_QX, probabilities = an_image(12, 10, (40, 48), 2, "untrained")
    tiny_QX = masks_QX * scale
    tiny_QX[:, ::7] = masks_QX[:, ::7]
    small = [probabilities_QN1 * torch.logspace(0, -20, 13) for probabilities_QN1 in probabilities]
    for array, probabilities_QN1 in zip(by_tiles(12, label, tiny_QX, small), small, strict=True):
        predicted_X = by_a_loop(probabilities_QN1, tiny_QX)
        assert (array == counted(12, label, predicted_X)).all()
        assert (pixel_classes.pixel_classes(probabilities_QN1, tiny_QX) == predicted_X).all()


def test_an_image_without_a_labelled_pixel_adds_nothing():
    _, masks_QX, probabilities = an_image(20, 10, (40, 48), 2, "trained")
    empty = SemanticLabel((40, 48), np.zeros(0, np.intp), np.zeros(0, np.int64))
    assert all(not array.any() for array in by_tiles(20, empty, masks_QX, probabilities))


def test_more_than_254_classes_in_a_label():
    _, masks_QX, probabilities = an_image(400, 12, (80, 90), 2, "trained")
    classes_L = np.random.default_rng(0).integers(0, 400, 7200)
    label = SemanticLabel((80, 90), np.arange(7200), classes_L)
    assert len(np.unique(classes_L)) > 254
    for array, probabilities_QN1 in zip(by_tiles(400, label, masks_QX, probabilities), probabilities, strict=True):
        assert (array == counted(400, label, by_a_loop(probabilities_QN1, masks_QX))).all()


def test_counts_do_not_depend_on_other_candidates_or_threads():
    """The second candidate is multiplied in full, and its masks are not gathered for the first."""
    label, masks_QX, trained = an_image(40, 24, (160, 192), 2, "trained")
    untrained = an_image(40, 24, (160, 192), 2, "untrained")[2]
    mixed = [trained[0], untrained[0], trained[1], untrained[1]]
    together = by_tiles(40, label, masks_QX, mixed)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        alone = [by_tiles(40, label, masks_QX, [one])[0] for one in mixed]
    finally:
        torch.set_num_threads(threads)
    for one, other, probabilities_QN1 in zip(together, alone, mixed, strict=True):
        assert (one == other).all()
        assert (one == counted(40, label, by_a_loop(probabilities_QN1, masks_QX))).all()


def test_scoring_takes_tiles_where_they_are_faster(monkeypatch):
    label, masks_QX, probabilities = an_image(40, 24, (160, 192), 3, "trained")
    assert are_faster(40, 3, masks_QX)
    assert not are_faster(40, 1, masks_QX)
    assert not are_faster(40, 40, masks_QX[:, :4000])
    used = []
    monkeypatch.setattr(TiledImage, "add", lambda *arguments: used.append(len(arguments[2])))
    counts = [Confusion(40) for _ in probabilities]
    SemanticImage(label, masks_QX).add(counts, probabilities, [()] * 3)
    assert used == [3]
    SemanticImage(label, masks_QX).add(counts[:1], probabilities[:1], [()])
    assert used == [3]
    assert (counts[0].array == counted(40, label, by_a_loop(probabilities[0], masks_QX))).all()
