"""Fine-tuning with real unseen queries, and the published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from query_world import query_recipe, query_run, query_world

from scaseg_cli.peers.cells import OWN, Cell, generators, plan_cells
from scaseg_cli.peers.published import FIGURES, published_table
from scaseg_cli.peers.real_queries import RealEmbeddings, tuned_with
from scaseg_cli.stages import recording

if TYPE_CHECKING:
    from pathlib import Path


def test_each_class_is_drawn_as_often_from_its_own_queries_alone() -> None:
    v, ids = torch.arange(7.0)[:, None], torch.tensor([4, 6, 4, 4, 6, 4, 9])
    drawn, labels = RealEmbeddings(v, ids, 5, seed=0).draw(3)
    assert labels.tolist() == [4] * 5 + [6] * 5 + [9] * 5
    assert torch.equal(ids[drawn[:, 0].long()], labels)
    assert torch.equal(drawn, RealEmbeddings(v, ids, 5, seed=0).draw(3)[0])
    assert not torch.equal(drawn, RealEmbeddings(v, ids, 5, seed=0).draw(4)[0])


def test_an_interrupted_fine_tuning_resumes_and_a_finished_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, world = query_recipe("evaluation.choose_on=nothing", "union.checkpoint_every=5"), query_world()
    run = query_run(tmp_path / "run", recipe)
    with recording(recipe, run, "cat"):
        pass
    cell = Cell(recipe, run, {})
    unseen = world.fresh_ids_M >= world.num_seen
    real = world.fresh_MD[unseen], world.fresh_ids_M[unseen]
    whole, _ = tuned_with(cell, "self-training", lambda: real, tmp_path / "whole", is_oracle=False)

    from scaseg_cli.union.tuning import FineTuning

    step = FineTuning.step

    def killed(self: FineTuning) -> torch.Tensor:
        if self.done == 12:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(FineTuning, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        tuned_with(cell, "self-training", lambda: real, tmp_path / "cut", is_oracle=False)
    monkeypatch.setattr(FineTuning, "step", step)
    resumed, _ = tuned_with(cell, "self-training", lambda: real, tmp_path / "cut", is_oracle=False)
    kept, _ = tuned_with(cell, "self-training", lambda: pytest.fail("nothing to find"), tmp_path / "cut", False)
    for other in (resumed, kept):
        for name, tensor in whole.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name
    base = world.classifier
    assert world.harmonic(whole) > world.harmonic(base)


def test_the_cells_share_the_runs_own_stages(tmp_path: Path) -> None:
    recipe = query_recipe()
    run = query_run(tmp_path / "run", recipe)
    plan = plan_cells(recipe, run)
    assert set(plan.names.values()) == {OWN, *(one.name for one in generators(recipe))}
    stages = {node_id.split("-")[0] for node_id in plan.plan.nodes}
    assert "evaluation" not in stages
    assert sum(node_id.startswith("base-") for node_id in plan.plan.nodes) == 1
    assert {node.stage for node in plan.plan.missing} == {"cat", "union"}
    assert not (run.path / "ablations").exists()


def test_published_figures_have_a_source_and_their_harmonic_mean() -> None:
    assert all(one.source for one in FIGURES)
    rows = published_table("zss", "IoU").rows
    assert {row["method"].split(",")[0] for row in rows} == {"PADing", "ZegCLIP", "CLIP-RC"}
    (row,) = (row for row in rows if row["method"] == "CLIP-RC, self-training")
    assert row["harmonic"] == pytest.approx(0.497, abs=5e-4)  # as their table has it
