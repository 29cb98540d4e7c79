"""Means by group and the harmonic mean."""

import math

import numpy as np
import pytest

from scaseg_cli.measures.summary import Summary, group_means, harmonic_mean, seen_and_unseen, with_harmonic

NAN = math.nan
IS_SEEN = np.array([True, True, True, False, False])
PQ = np.array([0.8, 0.3, 0.0, NAN, 0.6])
SQ = np.array([0.8, 0.6, NAN, NAN, 0.8])


@pytest.fixture
def groups():
    return with_harmonic(group_means({"pq": PQ, "sq": SQ}, seen_and_unseen(IS_SEEN)))


def test_means_are_over_the_classes_that_have_a_value_of_the_measure(groups):
    assert groups["seen"] == pytest.approx({"pq": 1.1 / 3, "sq": 0.7})
    assert groups["unseen"] == pytest.approx({"pq": 0.6, "sq": 0.8})
    assert groups["all"] == pytest.approx({"pq": 1.7 / 4, "sq": 2.2 / 3})


def test_the_harmonic_mean_of_each_measure_follows_seen_and_unseen(groups):
    assert list(groups) == ["seen", "unseen", "harmonic", "all"]
    s, u = 1.1 / 3, 0.6
    assert groups["harmonic"] == pytest.approx({"pq": 2 * s * u / (s + u), "sq": 2 * 0.7 * 0.8 / 1.5})


@pytest.mark.parametrize(("seen", "unseen"), [(0.0, 0.5), (0.5, 0.0), (0.0, 0.0)])
def test_harmonic_is_zero_where_one_is(seen, unseen):
    assert harmonic_mean(seen, unseen) == 0.0


def test_a_group_without_a_value_has_none():
    groups = with_harmonic(group_means({"pq": PQ[:4]}, seen_and_unseen(IS_SEEN[:4])))
    assert math.isnan(groups["unseen"]["pq"])
    assert math.isnan(groups["harmonic"]["pq"])
    assert groups["seen"]["pq"] == pytest.approx(1.1 / 3)
    assert Summary("pq", groups, {}).as_json_value()["unseen"] == {"pq": None}


def test_the_main_measure_is_the_summarys_own(groups):
    main, other = Summary("pq", groups, {}), Summary("sq", groups, {})
    assert (main.seen, main.unseen, main.harmonic) == tuple(groups[g]["pq"] for g in ("seen", "unseen", "harmonic"))
    assert (other.seen, other.unseen, other.harmonic) == tuple(groups[g]["sq"] for g in ("seen", "unseen", "harmonic"))


def test_means_are_plain_floats(groups):
    assert all(type(value) is float for group in groups.values() for value in group.values())


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="differ in length"):
        group_means({"pq": PQ}, seen_and_unseen(IS_SEEN[:4]))
    summary = Summary("pq", {}, {"seen": IS_SEEN, "pq": PQ})
    assert summary.rows(list("abcde"))[1] == {"class": "b", "seen": True, "pq": 0.3}
    with pytest.raises(ValueError, match="2 names for"):
        summary.rows(["a", "b"])
