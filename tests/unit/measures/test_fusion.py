"""Panoptic fusion: cases worked by hand, and a slow reading of the rule, pixel by pixel, on random masks."""

import numpy as np
import pytest

from scaseg_cli.measures import fusion
from scaseg_cli.measures.fusion import FusionRule, MaskSet, fuse, kept_by_each
from scaseg_cli.measures.panoptic_quality import PanopticQuality, prepare_label

THING, OTHER, STUFF, NONE = 0, 1, 2, 3
ISTHING = np.array([True, True, False])
RULE = FusionRule(ISTHING, object_threshold=0.25, overlap_threshold=0.8)


def fused(queries, rule=RULE):
    """Fuse queries given as (score, label, mask of one row)."""
    scores, labels, masks = zip(*queries, strict=True)
    return MaskSet(np.array(masks, dtype=np.float32)[:, None]).fuse(
        np.array(scores, dtype=np.float32), np.array(labels), rule
    )


def shown(result):
    """The map as a list, and the class ids."""
    return result.segment_map_HW[0].tolist(), result.class_ids.tolist()


def test_pixel_goes_to_the_largest_product():
    # 0.9 * 0.6 = 0.54 against 0.6 * 0.8 = 0.48
    queries = [(0.6, OTHER, [0.8, 0.8, 0.8, 0.8, 0.8]), (0.9, THING, [0.6, 0.1, 0.1, 0.1, 0.1])]
    assert shown(fused(queries)) == ([2, 1, 1, 1, 1], [OTHER, THING])


def test_no_object_and_low_scores_are_left_out():
    queries = [(0.99, NONE, [1, 1, 1]), (0.25, THING, [1, 1, 1]), (0.26, OTHER, [0.6, 0.6, 0.1])]
    assert shown(fused(queries)) == ([1, 1, 0], [OTHER])


def test_pixels_below_one_half_are_won_but_not_shown():
    # the second query wins the last pixel with 0.4 only; the first loses it, and stays with 4 of its 5
    queries = [(0.5, THING, [0.9, 0.9, 0.9, 0.9, 0.5]), (0.9, OTHER, [0, 0, 0, 0, 0.4])]
    assert shown(fused(queries)) == ([1, 1, 1, 1, 0], [THING])


def test_overlap_threshold_is_reached_by_its_own_value():
    keeps_four_of_five = [(0.5, THING, [0.9, 0.9, 0.9, 0.9, 0.5]), (0.9, OTHER, [0, 0, 0, 0, 0.9])]
    assert shown(fused(keeps_four_of_five)) == ([1, 1, 1, 1, 2], [THING, OTHER])
    keeps_three_of_four = [(0.5, THING, [0.9, 0.9, 0.9, 0.5]), (0.9, OTHER, [0, 0, 0, 0.9])]
    assert shown(fused(keeps_three_of_four)) == ([0, 0, 0, 1], [OTHER])


def test_stuff_of_a_class_is_merged_and_things_are_not():
    masks = [[0.9, 0.1, 0.1, 0.1], [0.1, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.1], [0.1, 0.1, 0.1, 0.9]]
    labels = [STUFF, THING, STUFF, THING]
    result = fused([(0.5 + 0.1 * q, labels[q], masks[q]) for q in range(4)])
    assert shown(result) == ([1, 2, 1, 3], [STUFF, THING, THING])
    assert result.ids.tolist() == [1, 2, 3]
    assert result.scores == pytest.approx([0.7, 0.6, 0.8])


def test_equal_products_go_to_the_first_query():
    assert shown(fused([(0.5, THING, [0.9, 0.9]), (0.5, OTHER, [0.9, 0.9])])) == ([1, 1], [THING])


@pytest.mark.parametrize("label", [NONE, THING])
def test_nothing_kept_gives_an_empty_map(label):
    result = fused([(0.1, label, [0.9, 0.9])])
    assert shown(result) == ([0, 0], [])
    assert (result.ids.shape, result.scores.shape, result.segment_map_HW.dtype) == ((0,), (0,), np.int32)


def test_more_queries_than_a_byte_can_tell_apart():
    num = 200
    masks = np.full((num, 1, num), 0.1, dtype=np.float32)
    masks[np.arange(num), 0, np.arange(num)] = 0.9
    result = MaskSet(masks).fuse(np.full(num, 0.5, dtype=np.float32), np.zeros(num, dtype=int), RULE)
    assert result.segment_map_HW[0].tolist() == list(range(1, num + 1))


def test_shapes_that_do_not_fit_are_refused():
    masks = np.zeros((2, 3, 3), dtype=np.float32)
    with pytest.raises(ValueError, match=r"masks have the shape \(3, 3\)"):
        MaskSet(masks[0])
    with pytest.raises(ValueError, match=r"masks have the shape \(0, 3, 3\)"):
        MaskSet(masks[:0])
    with pytest.raises(ValueError, match=r"\(3,\) scores and \(2,\) labels for 2 queries"):
        MaskSet(masks).fuse(np.zeros(3), np.zeros(2, dtype=int), RULE)
    with pytest.raises(ValueError, match="isthing has 3 entries for 4 classes"):
        fuse(np.zeros(2), np.zeros(2, dtype=int), masks, ISTHING, 0.5, 0.5, 4)
    label = prepare_label(np.zeros((3, 4), dtype=int), [], [], [])
    with pytest.raises(ValueError, match=r"masks are \(3, 3\), label is \(3, 4\)"):
        MaskSet(masks).add_to(PanopticQuality(3), label, np.zeros(2), np.zeros(2, dtype=int), RULE)


def reference(scores, labels, masks, rule):
    """The rule, pixel by pixel: (map, class ids)."""
    kept = [q for q, label in enumerate(labels) if label != rule.num_classes and scores[q] > rule.object_threshold]
    _, height, width = masks.shape
    products, high = (scores[:, None, None] * masks).tolist(), (masks >= 0.5).tolist()
    winner = {}
    for y in range(height):
        for x in range(width):
            for q in kept:
                if (y, x) not in winner or products[q][y][x] > winner[y, x][1]:
                    winner[y, x] = (q, products[q][y][x])
    drawn, class_ids, stuff = np.zeros((height, width), dtype=int), [], {}
    for q in kept:
        won = [pixel for pixel, (who, _) in winner.items() if who == q]
        own = {(y, x) for y, x in winner if high[q][y][x]}
        both = [pixel for pixel in won if pixel in own]
        if not both or len(won) / len(own) < rule.overlap_threshold:
            continue
        segment_id = stuff.get(labels[q])
        if segment_id is None:
            class_ids.append(labels[q])
            segment_id = len(class_ids)
            if not rule.isthing[labels[q]]:
                stuff[labels[q]] = segment_id
        for pixel in both:
            drawn[pixel] = segment_id
    return drawn, class_ids


def random_queries(rng, num_queries, num_classes, side):
    """Masks around rectangles, some of them alike, so that queries compete; scores; labels."""
    masks = rng.random((num_queries, side, side)) * 0.5
    for q in range(num_queries):
        top, left = rng.integers(0, side - 2, 2)
        high, wide = rng.integers(2, side, 2)
        masks[q, top : top + high, left : left + wide] += 0.5
        if q and rng.random() < 0.2:
            masks[q] = masks[q - 1]
    scores = rng.random(num_queries).astype(np.float32)
    return scores, rng.integers(0, num_classes + 1, num_queries), masks.astype(np.float32)


def test_random_masks_equal_the_rule(monkeypatch):
    monkeypatch.setattr(fusion, "_BLOCK", 1)  # several blocks in an image of this size
    rng = np.random.default_rng(3)
    sizes, merged = [], 0
    for _ in range(25):
        scores, labels, masks = random_queries(rng, 7, 4, 36)
        rule = FusionRule(rng.random(4) < 0.4, float(rng.choice([0.0, 0.3])), float(rng.choice([0.2, 0.5, 0.8])))
        result = MaskSet(masks).fuse(scores, labels, rule)
        drawn, class_ids = reference(scores, labels, masks, rule)
        assert result.segment_map_HW.tolist() == drawn.tolist()
        assert result.class_ids.tolist() == class_ids
        again = fuse(scores, labels, masks, rule.isthing, rule.object_threshold, rule.overlap_threshold, 4)
        assert again.segment_map_HW.tolist() == drawn.tolist()
        sizes.append(len(class_ids))
        merged += len(set(class_ids)) < len(class_ids)
    assert max(sizes) > 3
    assert merged


def test_counting_without_the_map_equals_counting_the_map():
    rng = np.random.default_rng(4)
    rule = FusionRule(np.arange(4) < 2, 0.2, 0.3)
    short, long = PanopticQuality(4), PanopticQuality(4)
    for _ in range(30):
        scores, labels, masks = random_queries(rng, 8, 4, 16)
        drawn = rng.integers(0, 4, (4, 4)).repeat(4, axis=0).repeat(4, axis=1)
        if rng.random() < 0.7:  # labels that predictions can match
            drawn = np.where(masks[:3].max(axis=0) >= 0.5, masks[:3].argmax(axis=0) + 1, 0)
        label = prepare_label(drawn, [1, 2, 3], np.minimum(labels[:3], 3), rng.random(3) < 0.2)
        prepared = MaskSet(masks)
        for increment in (0.0, 0.2):
            result = prepared.fuse(scores + increment, labels, rule)
            long.add_prepared(label, result.segment_map_HW, result.ids, result.class_ids)
            prepared.add_to(short, label, scores + increment, labels, rule)
    for name in ("tp", "fp", "fn", "iou_sum"):
        assert getattr(short, name).tolist() == getattr(long, name).tolist()
    assert short.tp.sum() > 5
    assert short.fp.sum() > 5


def test_pixels_on_which_candidates_agree_are_counted_as_for_each_alone():
    """Masks and scores of few values, so that products are often equal."""
    rng = np.random.default_rng(5)
    rules = [FusionRule(np.arange(4) < 2, threshold, 0.3) for threshold in (0.1, 0.2, 0.1, 0.4, 0.1, 0.2)]
    few = np.linspace(0.0, 1.0, 6, dtype=np.float32)
    num_open = []
    for _ in range(60):
        masks = few[rng.integers(0, 6, (5, 8, 8))]
        label = prepare_label(rng.integers(0, 3, (8, 8)), [1, 2], [0, 3], [False, False])
        masks[0] = np.maximum(masks[0], few[rng.integers(3, 6)])
        scores = few[np.maximum(rng.integers(0, 6, (6, 5)), [[5, 0, 0, 0, 0]])]
        labels = rng.integers(0, 5, (6, 5))
        labels[:, 0] = rng.integers(0, 4, 6)
        prepared = MaskSet(masks)
        together, alone = ([PanopticQuality(4) for _ in rules] for _ in range(2))
        prepared.add_each(together, label, scores, labels, rules)
        for quality, *each in zip(alone, scores, labels, rules, strict=True):
            prepared.add_to(quality, label, *each)
        assert [one.array.tolist() for one in together] == [one.array.tolist() for one in alone]
        kept = kept_by_each(scores, labels, rules)
        num_open.append(int(prepared._settled(scores, kept)[1].sum()))
    assert min(num_open) < 45 < max(num_open)


def test_candidates_of_another_number_are_refused():
    label, masks = prepare_label(np.zeros((2, 2), int), [], [], []), MaskSet(np.ones((3, 2, 2)))
    rules = [FusionRule(np.ones(3, bool), 0.5, 0.5)]
    with pytest.raises(ValueError, match=r"\(2, 3\) scores .* of 1 candidates"):
        masks.add_each([PanopticQuality(3)], label, np.zeros((2, 3)), np.zeros((2, 3), int), rules)
