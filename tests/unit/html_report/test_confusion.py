import numpy as np
import pytest

from scaseg_cli.html_report.confusion import Confusion

NAMES = ["cat", "dog", "cow", "yak"]  # cow and yak are unseen


def confusion(*rows):
    return Confusion("inductive", NAMES, 2, np.array(rows))


ONE = confusion([6, 1, 1, 0, 2], [0, 5, 0, 0, 0], [3, 0, 4, 1, 2], [0, 0, 0, 0, 0])


def test_segments_are_divided_by_the_group_of_their_predicted_class():
    seen, unseen = ONE.groups().rows
    assert seen == {
        "classes": "seen", "segments": 15, "right": 11 / 15, "seen": 1 / 15, "unseen": 1 / 15, "nothing": 2 / 15,
    }  # fmt: skip
    assert unseen == {"classes": "unseen", "segments": 10, "right": 0.4, "seen": 0.3, "unseen": 0.1, "nothing": 0.2}
    assert sum(value for key, value in seen.items() if key not in ("classes", "segments")) == pytest.approx(1.0)


def test_the_most_frequent_mistakes_of_each_unseen_class_are_named():
    cow, yak = ONE.taken_for().rows
    assert (cow["segments"], cow["right"]) == (10, 0.4)
    assert cow["instead"].replace("\u00a0", " ") == "cat 30.0 %, nothing 20.0 %, yak 10.0 %"
    assert yak == {"class": "yak", "segments": 0, "right": None, "instead": None}


def test_the_heat_map_has_the_unseen_classes_and_those_they_are_mistaken_for():
    heat = ONE.heat()
    assert heat.columns == ["cow", "yak", "cat", "other seen", "nothing"]
    assert heat.rows == [("cow", 10, [0.4, 0.1, 0.3, 0.0, 0.2]), ("yak", 0, [None] * 5)]


def test_seen_classes_without_a_column_share_one():
    names = [f"seen {i}" for i in range(12)] + ["cow"]
    votes = np.zeros((13, 14), int)
    votes[12, :12] = np.arange(12)[::-1]
    heat = Confusion("inductive", names, 12, votes).heat()
    assert heat.columns == ["cow", *names[:8], "other seen", "nothing"]
    assert heat.rows[0][2][-2] == (3 + 2 + 1) / 66
    assert sum(heat.rows[0][2]) == pytest.approx(1.0)


def test_the_json_holds_the_whole_matrix():
    value = ONE.as_json_value()
    assert value["votes"] == ONE.votes.tolist()
    assert (value["classes"], value["num_seen"]) == (NAMES, 2)
