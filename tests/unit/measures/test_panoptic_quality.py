"""Panoptic quality: cases worked by hand, and a slow reading of the published rules on random maps."""

from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
import pytest

from scaseg_cli.measures.panoptic_quality import PanopticQuality, prepare_label


def strip(text):
    """A map of one row: a digit is a segment's id, a dot is void."""
    return np.array([[0 if sign == "." else int(sign) for sign in text]])


def counted(label, label_segments, prediction, predicted, num_classes=3):
    """Counts of one strip; segments are {id: class} or {id: (class, "crowd")}."""
    quality = PanopticQuality(num_classes)
    add_strip(quality, label, label_segments, prediction, predicted)
    return quality


def add_strip(quality, label, label_segments, prediction, predicted):
    classes = [value[0] if isinstance(value, tuple) else value for value in label_segments.values()]
    crowd = [isinstance(value, tuple) for value in label_segments.values()]
    quality.add(
        strip(label), list(label_segments), classes, crowd, strip(prediction), list(predicted), list(predicted.values())
    )


def by_class(quality, class_id):
    """(tp, fp, fn, sum of IoU) of one class."""
    found = quality.per_class()
    return (
        int(found.tp[class_id]),
        int(found.fp[class_id]),
        int(found.fn[class_id]),
        float(found.iou_sum[class_id]),
    )


def test_perfect_prediction():
    found = counted("1112233333", {1: 0, 2: 1, 3: 0}, "7775544444", {7: 0, 5: 1, 4: 0}).per_class()
    assert found.pq[:2].tolist() == found.sq[:2].tolist() == found.rq[:2].tolist() == [1.0, 1.0]
    assert found.tp.tolist() == [2, 1, 0]
    assert found.present.tolist() == [True, True, False]


def test_iou_of_exactly_one_half_does_not_match():
    # labelled 4, predicted 2 of them: 2 / 4
    assert by_class(counted("1111222222", {1: 0, 2: 1}, "11........", {1: 0}), 0) == (0, 1, 1, 0.0)


def test_iou_above_one_half_matches():
    assert by_class(counted("1111222222", {1: 0, 2: 1}, "111.......", {1: 0}), 0) == (1, 0, 0, 0.75)


def test_void_under_the_prediction_is_taken_off_the_union():
    # 3 shared, 3 more predicted on void: 3 / 3, where counting void would give 3 / 6 and no match
    assert by_class(counted("111...2222", {1: 0, 2: 1}, "111111....", {1: 0}), 0) == (1, 0, 0, 1.0)


def test_predicted_void_is_not_forgiven():
    found = counted("1111111111", {1: 0}, "1111111...", {1: 0}).per_class()
    assert found.sq[0] == pytest.approx(0.7, abs=1e-12)


def test_other_class_does_not_match():
    quality = counted("1111", {1: 0}, "1111", {1: 1})
    assert by_class(quality, 0) == (0, 0, 1, 0.0)
    assert by_class(quality, 1) == (0, 1, 0, 0.0)


def test_crowd_of_the_same_class_forgives_and_is_never_missed():
    assert by_class(counted("1111", {1: (0, "crowd")}, "1111", {1: 0}), 0) == (0, 0, 0, 0.0)
    assert by_class(counted("1111", {1: (0, "crowd")}, "....", {}), 0) == (0, 0, 0, 0.0)


def test_crowd_of_another_class_does_not_forgive():
    assert by_class(counted("1111", {1: (0, "crowd")}, "1111", {1: 1}), 1) == (0, 1, 0, 0.0)


def test_crowd_and_void_forgive_together():
    # 2 on void, 2 on crowd, 3 elsewhere: 4 of 7
    quality = counted("..11222", {1: (0, "crowd"), 2: 1}, "1111111", {1: 0})
    assert by_class(quality, 0) == (0, 0, 0, 0.0)


def test_crowd_stays_in_the_union():
    # 3 shared, 3 more predicted on a crowd region of the same class: 3 / 6, unlike void
    quality = counted("111222", {1: 0, 2: (0, "crowd")}, "111111", {1: 0})
    assert by_class(quality, 0) == (0, 1, 1, 0.0)


def test_of_two_crowd_regions_of_a_class_the_last_forgives():
    quality = counted("111222", {1: (0, "crowd"), 2: (0, "crowd")}, "111222", {1: 0, 2: 0})
    assert by_class(quality, 0) == (0, 1, 0, 0.0)


@pytest.mark.parametrize(("label", "false_positives"), [("...11", 0), ("..111", 1), ("..11", 1)])
def test_void_under_more_than_half_forgives(label, false_positives):
    quality = counted(label, {1: 1}, "1" * len(label), {1: 0})
    assert by_class(quality, 0) == (0, false_positives, 0, 0.0)


def test_empty_prediction_misses_everything():
    quality = counted("1122", {1: 0, 2: 1}, "....", {})
    assert quality.per_class().fn.tolist() == [1, 1, 0]
    assert quality.per_class().pq[:2].tolist() == [0.0, 0.0]


def test_label_of_void_alone_counts_nothing():
    assert not counted("....", {}, "1122", {1: 0, 2: 1}).per_class().present.any()


def test_absent_class_has_no_quality_and_false_positives_alone_have_zero():
    found = counted("11", {1: 0}, "11", {1: 2}).per_class()
    assert found.present.tolist() == [True, False, True]
    for values in (found.pq, found.sq, found.rq):
        assert values[2] == 0.0
        assert np.isnan(values[1])


def test_single_pixel_segment():
    assert by_class(counted("1222", {1: 0, 2: 1}, "1222", {1: 0, 2: 1}), 0) == (1, 0, 0, 1.0)


def test_labelled_segment_without_a_pixel_is_missed():
    assert by_class(counted("11", {1: 0, 2: 0}, "11", {1: 0}), 0) == (1, 0, 1, 1.0)


def test_quality_of_one_hit_one_miss_and_one_false_positive():
    found = counted("1111122222", {1: 0, 2: 0}, "11113.....", {1: 0, 3: 0}).per_class()
    assert (found.iou_sum[0], found.pq[0], found.sq[0], found.rq[0]) == pytest.approx((0.8, 0.4, 0.8, 0.5), abs=1e-12)


def test_neither_order_nor_division_among_processes_changes_a_bit():
    """IoUs such as 2/3, 3/7 and 5/11: sums of floats of these do depend on the order."""
    rng = np.random.default_rng(3)
    images = []
    for _ in range(40):
        size = int(rng.integers(5, 14))
        images.append(("1" * size + "222", {1: 0, 2: 1}, "1" * int(rng.integers(size // 2 + 1, size + 1)), {1: 0}))
    images = [(label, classes, found.ljust(len(label), "."), predicted) for label, classes, found, predicted in images]
    forwards, backwards, parts = (
        PanopticQuality(2),
        PanopticQuality(2),
        [PanopticQuality(2), PanopticQuality(2)],
    )
    for place, image in enumerate(images):
        add_strip(forwards, *image)
        add_strip(backwards, *images[-1 - place])
        add_strip(parts[place % 2], *image)
    assert (forwards.array == backwards.array).all()
    parts[0].array += parts[1].array
    assert (forwards.array == parts[0].array).all()
    assert forwards.per_class().pq.tobytes() == parts[0].per_class().pq.tobytes()
    ious = [Fraction(len(found.replace(".", "")), label.count("1")) for label, _, found, _ in images]
    plainly = [reduce(add, map(float, order)) for order in (ious, reversed(ious))]  # Python 3.12's sum compensates
    assert plainly[0] != plainly[1]
    assert abs(forwards.per_class().iou_sum[0] - float(sum(ious))) < 40 * 2.0**-41 + 1e-15


def test_a_whole_overlap_counts_one_exactly():
    quality = counted("112233", {1: 0, 2: 0, 3: 0}, "112233", {1: 0, 2: 0, 3: 0})
    assert quality.per_class().iou_sum[0] == 3.0
    assert quality.per_class().pq[0] == 1.0


@pytest.mark.parametrize(
    ("label", "label_segments", "prediction", "predicted", "says"),
    [
        ("11", {1: 0}, "12", {1: 0}, r"prediction map has segments that are not listed: \[2\]"),
        ("11", {1: 0}, "11", {1: 0, 2: 1}, "a listed segment has no pixel"),
        ("13", {1: 0}, "11", {1: 0}, r"label map has segments that are not listed: \[3\]"),
        ("11", {1: 0}, "111", {1: 0}, r"prediction is \(1, 3\), label is \(1, 2\)"),
        ("11", {1: 3}, "11", {1: 0}, "class id 3 is not one of 0..2"),
        ("11", {1: (3, "crowd")}, "11", {1: 0}, "class id 3 is not one of 0..2"),
        ("11", {1: 0}, "11", {1: -1}, "class id -1 is not one of 0..2"),
        ("11", {1: 0}, "..", {0: 0}, "prediction segment ids must be positive and distinct"),
    ],
)
def test_programmers_mistakes_are_refused_and_count_nothing(label, label_segments, prediction, predicted, says):
    quality = PanopticQuality(3)
    with pytest.raises(ValueError, match=says):
        add_strip(quality, label, label_segments, prediction, predicted)
    assert not quality.per_class().present.any()


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 labelled segments with 1 class ids and 2 crowd flags"):
        prepare_label(strip("12"), [1, 2], [0], [0, 0])
    with pytest.raises(ValueError, match=r"must be positive and distinct: \[1, 1\]"):
        prepare_label(strip("11"), [1, 1], [0, 0], [0, 0])
    with pytest.raises(ValueError, match="1 predicted segments with 2 class ids"):
        PanopticQuality(1).add_prepared(prepare_label(strip("1"), [1], [0], [0]), strip("1"), [1], [0, 0])


def reference(images, num_classes):
    """The published rules, word for word, on sets of pixels: {class: (tp, fp, fn, sum of IoU)}."""
    counts = {n: [0, 0, 0, Fraction(0)] for n in range(num_classes)}
    for labelled, predicted, void in images:
        found = set()
        for pixels, class_id in predicted:
            for place, (truth, truth_class, crowd) in enumerate(labelled):
                union = (pixels - void) | truth
                if class_id == truth_class and not crowd and 2 * len(pixels & truth) > len(union):
                    counts[class_id][0] += 1
                    counts[class_id][3] += Fraction(len(pixels & truth), len(union))
                    found.add(place)
                    break
            else:
                ignored = set(void)
                crowds = [truth for truth, truth_class, crowd in labelled if crowd and truth_class == class_id]
                if crowds:
                    ignored |= crowds[-1]
                if 2 * len(pixels & ignored) <= len(pixels):
                    counts[class_id][1] += 1
        for place, (_, truth_class, crowd) in enumerate(labelled):
            if place not in found and not crowd:
                counts[truth_class][2] += 1
    return counts


def random_map(rng, side, num_ids):
    """Rectangles of ids over each other, some of them void; ids are large and in no order."""
    ids = 1 + rng.choice((1 << 24) - 1, num_ids, replace=False)
    drawn = np.zeros((side, side), dtype=np.int32)
    for value in [*ids, 0, *ids[::-1], 0]:
        top, left = rng.integers(0, side, 2)
        high, wide = rng.integers(1, side, 2)
        drawn[top : top + high, left : left + wide] = value
    return drawn


def as_sets(drawn):
    """Pixels by id."""
    return {int(value): set(np.flatnonzero(drawn.ravel() == value).tolist()) for value in np.unique(drawn)}


def test_random_maps_equal_the_published_rules():
    rng = np.random.default_rng(5)
    num_classes, kinds = 4, np.zeros(4, dtype=int)
    for _ in range(30):
        quality, images = PanopticQuality(num_classes), []
        for _ in range(3):
            label = random_map(rng, 11, rng.integers(1, 7))
            prediction = np.where(rng.random(label.shape) < 0.1, 0, label)
            if rng.random() < 0.4:
                prediction = random_map(rng, 11, rng.integers(1, 7))
            truth, guess = as_sets(label), as_sets(prediction)
            void = truth.pop(0, set())
            guess.pop(0, None)
            classes = {key: int(rng.integers(num_classes)) for key in [*truth, *guess]}
            crowd = {key: bool(rng.random() < 0.25) for key in truth}
            order = list(rng.permutation(list(truth))) if truth else []
            images.append(
                (
                    [(truth[key], classes[key], crowd[key]) for key in order],
                    [(pixels, classes[key]) for key, pixels in guess.items()],
                    void,
                )
            )
            quality.add(
                label,
                order,
                [classes[key] for key in order],
                [crowd[key] for key in order],
                prediction,
                list(guess),
                [classes[key] for key in guess],
            )
        found, expected = quality.per_class(), reference(images, num_classes)
        for n, (tp, fp, fn, iou) in expected.items():
            assert (found.tp[n], found.fp[n], found.fn[n]) == (tp, fp, fn)
            assert abs(found.iou_sum[n] - float(iou)) < 1e-10
            weight = tp + Fraction(fp + fn, 2)
            if weight:
                assert abs(found.pq[n] - float(iou / weight)) < 1e-12
                assert abs(found.rq[n] - float(tp / weight)) < 1e-12
                assert abs(found.sq[n] - float(iou / tp if tp else 0)) < 1e-12
            else:
                assert np.isnan([found.pq[n], found.sq[n], found.rq[n]]).all()
            kinds += (tp, fp, fn, weight == 0)
    assert kinds.min() > 5, f"the maps must show hits, false positives, misses and absent classes: {kinds}"
