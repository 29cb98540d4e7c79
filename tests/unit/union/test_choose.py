"""The choice of snapshots and increments on the selection images."""

from __future__ import annotations

import math

import pytest
import torch
from query_world import query_recipe, query_world

from scaseg_cli.base.projector import Snapshot
from scaseg_cli.errors import ScasegError
from scaseg_cli.measures.summary import Quantity
from scaseg_cli.union.choose import Figure, Model, best, choose, figures_of, tried_of

PQ = Quantity("pq", "PQ")


def _figure(model: Model, step: int, increment: float, harmonic: float) -> Figure:
    return Figure(model, step, increment, 0.5, 0.4, harmonic)


def test_base_method_and_control_are_each_chosen_among_their_own_figures() -> None:
    figures = [
        _figure("base", 0, 0.0, 0.1), _figure("base", 0, 2.0, 0.7),
        _figure("method", 5, 0.0, 0.5), _figure("method", 5, 1.0, 0.6),
        _figure("method", 10, 0.0, 0.4), _figure("method", 10, 2.0, 0.65),
        _figure("control", 5, 0.0, 0.2), _figure("control", 10, 2.0, 0.9),
    ]  # fmt: skip
    chosen = choose(figures, PQ)
    picked = [chosen.base, chosen.method, chosen.method_increment, chosen.control]
    assert picked == [figures[1], figures[2], figures[5], figures[7]]
    written = chosen.as_json_value()
    assert (written["image_set"], written["measure"]) == ("selection", "pq")
    assert "by hPQ" in written["note"]
    assert written["chosen"]["method"] == {
        "model": "method", "step": 5, "increment": 0.0, "seen": 0.5, "unseen": 0.4, "harmonic": 0.5
    }  # fmt: skip
    assert len(written["figures"]) == 8


def test_without_a_control_there_is_none() -> None:
    chosen = choose([_figure("base", 0, 0.0, 0.1), _figure("method", 5, 0.0, 0.5)], PQ)
    assert chosen.control is None
    assert chosen.as_json_value()["chosen"]["control"] is None


def test_ties_go_to_fewer_steps_and_then_to_the_smaller_increment() -> None:
    figures = [_figure("method", *at, 0.5) for at in ((20, 0.0), (10, 1.0), (10, 0.5), (20, 0.5))]
    assert best(figures) == figures[2]


def test_nothing_can_be_chosen_where_unseen_classes_are_absent() -> None:
    with pytest.raises(ScasegError, match="both seen and unseen") as caught:
        best([_figure("method", 5, 0.0, math.nan)])
    assert "data.selection" in (caught.value.hint or "")


def test_every_snapshot_is_tried_at_every_increment_and_at_none() -> None:
    world = query_world()
    tensors = {name: tensor + 0.01 for name, tensor in world.classifier.state_dict().items()}
    snapshots: dict[Model, list[Snapshot]] = {
        "method": [Snapshot(5, tensors), Snapshot(10, dict(world.classifier.state_dict()))],
        "control": [Snapshot(5, tensors)],
    }
    tried = tried_of(query_recipe("evaluation.increments=[1.0, 2.0]"), world.classifier, world.classifier, snapshots)
    figures = figures_of(tried, world.summaries([one.candidate for one in tried]))
    assert {(f.model, f.step, f.increment) for f in figures} == {
        (model, step, increment)
        for model, step in (("base", 0), ("method", 5), ("method", 10), ("control", 5))
        for increment in (0.0, 1.0, 2.0)
    }
    by_key = {(f.model, f.step, f.increment): f for f in figures}
    assert by_key["method", 10, 2.0].harmonic == by_key["base", 0, 2.0].harmonic
    assert by_key["base", 0, 2.0].harmonic == pytest.approx(world.harmonic(world.classifier, 2.0))
    assert by_key["method", 5, 1.0].harmonic == by_key["control", 5, 1.0].harmonic
    assert by_key["method", 5, 1.0].seen != by_key["base", 0, 1.0].seen
    assert torch.equal(world.classifier.no_object, snapshots["method"][1].tensors["no_object"])
