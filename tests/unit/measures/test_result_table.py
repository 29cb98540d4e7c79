"""The notes below the result table, and the table of unseen classes and their neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from scaseg_cli.measures.result_table import ResultRow, advice, neighbour_table
from scaseg_cli.measures.summary import Summary

INCREMENTS = [0.0, 1.0, 2.5]


def _summary(unseen: float, *iou: float) -> Summary:
    return Summary("iou", {"unseen": {"iou": unseen}}, {"iou": np.array(iou)})


def _rows(chosen: float) -> list[ResultRow]:
    return [
        ResultRow("base", "inductive", "base", 0.0),
        ResultRow("inductive", "inductive", "base", 1.0),
        ResultRow("base-best-increment", "control", "base, best increment", chosen),
        ResultRow("transductive", "transductive", "best snapshot", 0.0),
    ]


def _advice(inductive: float, control: float, chosen: float) -> list[str]:
    figures = {"base": 0.0, "inductive": inductive, "base-best-increment": control, "transductive": 0.2}
    return advice(_rows(chosen), {name: _summary(value) for name, value in figures.items()}, INCREMENTS)


def test_an_increment_that_finds_nothing_is_told_beside_one_that_does() -> None:
    (note,) = _advice(0.0, 0.3, 2.0)
    assert note.startswith("At the increment +1.00 no unseen class was found, and at +2.00 (base, best increment) some")
    assert _advice(0.1, 0.3, 2.0) == _advice(0.0, 0.0, 2.0) == []


def test_the_largest_increment_is_told_when_it_was_chosen() -> None:
    (note,) = _advice(0.1, 0.3, 2.5)
    assert note.startswith("The largest of evaluation.increments, +2.50, was chosen for base, best increment")


def test_neighbours_have_their_figures_before_and_after() -> None:
    before, after = _summary(0, 0.7, 0.5, 0.0, 0.1), _summary(0, 0.6, 0.0, 0.4, float("nan"))
    rows = neighbour_table(before, after, ["cow", "dog", "cat", "sheep"], [(2, 1), (3, 0)]).rows
    assert [row["unseen"] for row in rows] == ["cat", "sheep"]
    assert [row["seen"] for row in rows] == ["dog", "cow"]
    assert [(row["seen_before"], row["seen_after"]) for row in rows] == [(0.5, 0.0), (0.7, 0.6)]
    assert (rows[0]["unseen_before"], rows[0]["unseen_after"]) == (0.0, 0.4)
    assert np.isnan(rows[1]["unseen_after"])


@pytest.mark.parametrize(("main", "title"), [("pq", "PQ, base"), ("iou", "IoU, base")])
def test_neighbours_are_headed_by_the_measure(main: str, title: str) -> None:
    summary = Summary(main, {}, {main: np.array([0.5, 0.5])})
    assert neighbour_table(summary, summary, ["a", "b"], [(1, 0)]).columns[1].title == title
