"""Means by group and the harmonic mean."""

import math

import numpy as np
import pytest

from scaseg_cli.evaluation.panoptic_quality import PanopticQuality
from scaseg_cli.evaluation.summary import PER_CLASS_COLUMNS, harmonic_mean, summarise
from scaseg_cli.results.table import Table

# class: TP, FP, FN, sum of IoU; class 3 is absent
COUNTS = [(1, 0, 0, 0.8), (1, 1, 1, 0.6), (0, 2, 0, 0.0), (0, 0, 0, 0.0), (3, 0, 2, 2.4)]
NAMES = ["sky", "dog", "cow", "cup", "river"]
IS_SEEN = [True, True, True, False, False]
ISTHING = [False, True, True, True, False]


def quality(counts):
    counted = PanopticQuality(len(counts))
    for n, values in enumerate(counts):
        counted.tp[n], counted.fp[n], counted.fn[n], counted.iou_sum[n] = values
    return counted.per_class()


@pytest.fixture
def summary():
    return summarise(quality(COUNTS), IS_SEEN, ISTHING)


def test_means_are_over_present_classes(summary):
    # by class: PQ .8, .3, 0, absent, .6; SQ .8, .6, 0, absent, .8; RQ 1, .5, 0, absent, .75
    assert summary.seen == pytest.approx((1.1 / 3, 1.4 / 3, 0.5))
    assert summary.unseen == pytest.approx((0.6, 0.8, 0.75))
    assert summary.all == pytest.approx((1.7 / 4, 2.2 / 4, 2.25 / 4))
    assert summary.things == pytest.approx((0.15, 0.3, 0.25))
    assert summary.stuff == pytest.approx((0.7, 0.8, 0.875))


def test_harmonic_is_of_each_measure(summary):
    s, u = 1.1 / 3, 0.6
    assert summary.harmonic == pytest.approx((2 * s * u / (s + u), 2 * (1.4 / 3) * 0.8 / (1.4 / 3 + 0.8), 0.6))
    assert (summary.spq, summary.upq, summary.hpq) == (summary.seen.pq, summary.unseen.pq, summary.harmonic.pq)


@pytest.mark.parametrize(("seen", "unseen"), [(0.0, 0.5), (0.5, 0.0), (0.0, 0.0)])
def test_harmonic_is_zero_where_one_is(seen, unseen):
    assert harmonic_mean(seen, unseen) == 0.0


def test_group_without_a_present_class_is_nan():
    empty = summarise(quality(COUNTS[:4]), IS_SEEN[:4], ISTHING[:4])
    assert all(map(math.isnan, [*empty.unseen, *empty.harmonic]))
    assert not any(map(math.isnan, [*empty.seen, *empty.all]))
    assert empty.as_json_value()["unseen"] == {"pq": None, "sq": None, "rq": None}


def test_no_class_at_all():
    none = summarise(PanopticQuality(2).per_class(), [True, False], [True, True])
    assert all(map(math.isnan, [*none.seen, *none.unseen, *none.all, *none.harmonic]))


def test_json_has_every_group_as_fractions(summary):
    value = summary.as_json_value()
    assert list(value) == ["seen", "unseen", "harmonic", "all", "things", "stuff"]
    assert value["unseen"] == pytest.approx({"pq": 0.6, "sq": 0.8, "rq": 0.75})


def test_rows_fit_their_columns(summary):
    table = Table("By class", PER_CLASS_COLUMNS, summary.rows(NAMES))
    assert table.to_csv().splitlines()[2] == "dog,true,true,0.3,0.6,0.5,1,1,1"
    assert table.shown_rows()[3] == ["cup", "no", "yes", "-", "-", "-", "0", "0", "0"]


def test_masks_and_names_must_fit(summary):
    with pytest.raises(ValueError, match=r"masks \(5,\) and \(4,\) for \(5,\) classes"):
        summarise(quality(COUNTS), IS_SEEN, ISTHING[:4])
    with pytest.raises(ValueError, match="2 names for 5 classes"):
        summary.rows(NAMES[:2])


def test_means_are_plain_floats(summary):
    assert all(type(value) is float for value in [*summary.seen, *summary.harmonic, *summary.all])
    assert np.isnan(summary.per_class.pq[3])
