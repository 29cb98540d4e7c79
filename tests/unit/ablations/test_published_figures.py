"""The published figures are complete and match the sweeps."""

import pytest

from scaseg_cli.ablations.find import find_sweep
from scaseg_cli.ablations.published import label_of, published_tables

TABLES = {
    "bank-size": (1, 4), "null-embedding": (2, 2), "bank-temperature": (3, 7), "pseudo-seen": (4, 4),
    "pseudo-unseen": (5, 4), "increment": (6, 4), "gamma": (7, 3), "enhancement": (8, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_its_sweep_with_the_same_rows(name):
    sweep = find_sweep(name)[1]
    table = published_tables()[sweep.published]
    assert (table.number, len(table.rows)) == TABLES[name]
    assert sweep.labels == list(table.rows)
    assert table.default in sweep.labels
    reported = {setting for row in table.rows.values() for setting in row}
    assert reported == set(sweep.settings)


def test_harmonic_means_are_those_of_their_row():
    figures = [row for table in published_tables().values() for rows in table.rows.values() for row in rows.values()]
    assert len(figures) == 17 + 27
    for row in figures:
        harmonic = 2 * row["seen"] * row["unseen"] / (row["seen"] + row["unseen"])
        assert row["harmonic"] == pytest.approx(harmonic, abs=0.0011)


def test_the_papers_own_setting_is_the_same_row_in_all_tables():
    rows = {tuple(t.rows[t.default].get("transductive", {}).values()) for t in published_tables().values()}
    assert rows == {(0.226, 0.31, 0.177), ()}


@pytest.mark.parametrize(
    ("value", "label"),
    [(32, "32"), (0.30, "0.3"), (2.0, "2"), ([16, 0.07], "16, 0.07"), (True, "on"), (None, "null"), ("plus", "plus")],
)
def test_labels(value, label):
    assert label_of(value) == label


def test_a_figure_that_was_not_reported_is_none():
    table = published_tables()["bank_temperature"]
    assert table.figure("16, 0.15", "inductive", "harmonic") is None
    assert table.figure("16, 0.15", "transductive", "unseen") == pytest.approx(0.171)
    assert table.figure("17", "transductive", "unseen") is None
