"""The store of stages: each one once, linked from later stages, safe from changes in the work folder."""

import os
import shutil

import pytest

from scaseg_cli.ablations.ablate import check_work, make_ablations
from scaseg_cli.ablations.plan import make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done, recording, require


@pytest.fixture
def prepared(recipe, finish):
    """Return a plan over a finished run, with its folders created."""
    plan = make_plan(make_ablations(["gamma"], recipe), Store(finish(recipe)))
    plan.store.prepare(plan.nodes, plan.states)
    return plan


def node_of(plan, stage, state):
    return next(node for node in plan.nodes.values() if node.stage == stage and plan.states[node.id] == state)


def test_finished_stages_of_the_work_folder_are_shared_without_a_copy(prepared, recipe):
    node = node_of(prepared, "union", "shared")
    run = prepared.store.run(node)
    assert is_done(recipe, run, "union")
    assert os.path.samefile(run.path / "union" / "result.txt", prepared.store.work.path / "union" / "result.txt")
    assert not prepared.store.is_own(node)
    assert prepared.store.state(node) == "there"
    require(recipe, run, "base", "queries", "cat")  # through the links


def test_every_stage_folder_is_a_run_folder_for_what_is_missing(prepared):
    node = node_of(prepared, "cat", "missing")
    run = prepared.store.run(node)
    require(node.recipe, run, "split", "embeddings")
    with pytest.raises(ScasegError, match="no finished base stage"):
        require(node.recipe, run, "base")
    base = node_of(prepared, "base", "missing")
    other = prepared.store.run(base)
    with recording(base.recipe, other, "base", other.base_file):
        other.base_file.write_text("weights")
    builds_on_it = [n for n in prepared.nodes.values() if n.stage == "cat" and base.id in n.earlier]
    require(builds_on_it[0].recipe, prepared.store.run(builds_on_it[0]), "base")


def test_a_folder_can_be_moved(prepared, recipe, tmp_path):
    shutil.move(tmp_path / "work", tmp_path / "moved")
    plan = make_plan(make_ablations(["gamma"], recipe), Store(RunDir(tmp_path / "moved")))
    assert {plan.states[node.id] for node in plan.nodes.values() if prepared.states[node.id] == "shared"} == {"there"}
    node = node_of(prepared, "evaluation", "shared")
    require(recipe, plan.store.run(node), "base", "union")


def test_a_later_run_in_the_work_folder_leaves_shared_stages_unchanged(prepared, recipe):
    work, node = prepared.store.work, node_of(prepared, "union", "shared")
    other = load_recipe("shapes-zps", ("union.pseudo_unseen=7",))
    with recording(other, work, "union", work.path / "union" / "result.txt"):
        (work.path / "union" / "new.txt").write_text("another")
        os.replace(work.path / "union" / "new.txt", work.path / "union" / "result.txt")
    assert not is_done(recipe, work, "union")
    assert prepared.store.state(node) == "there"
    shutil.rmtree(work.path / "union")
    assert prepared.store.state(node) == "there"


def test_preparing_again_changes_nothing(prepared):
    def seen():
        return {path: path.lstat().st_mtime_ns for path in prepared.store.folder.rglob("*") if path.is_symlink()}

    before = seen()
    states = {node.id: prepared.store.state(node) for node in prepared.nodes.values()}
    prepared.store.prepare(prepared.nodes, states)
    assert seen() == before


def test_a_damaged_stage_is_missing_and_is_not_taken_for_shared(prepared):
    node = node_of(prepared, "union", "shared")
    shutil.rmtree(prepared.store.work.path / "union")
    (prepared.store.run(node).path / "union" / "result.txt").write_text("cut")
    states = {each.id: prepared.store.state(each) for each in prepared.nodes.values()}
    assert states[node.id] == "missing"
    prepared.store.prepare(prepared.nodes, states)
    prepared.store.begin(node)
    assert prepared.store.is_own(node)


def test_the_base_model_of_another_recipe_is_refused(finish, recipe):
    work = finish(recipe, up_to="base")
    check_work(recipe, work)
    with pytest.raises(ScasegError, match="base was made by another recipe") as caught:
        check_work(load_recipe("shapes-zps", ("base.iterations=7",)), work)
    assert "--work-dir" in (caught.value.hint or "")


def test_a_truncated_base_model_is_refused(finish, recipe):
    work = finish(recipe)
    (work.path / "base" / "result.txt").write_text("cut")
    with pytest.raises(ScasegError, match="is not what the base stage wrote"):
        check_work(recipe, work)


def test_a_work_folder_without_a_base_model_is_accepted(recipe, tmp_path):
    check_work(recipe, RunDir(tmp_path / "new"))


@pytest.mark.parametrize(
    ("changed", "stale"),
    [
        ("validation", ["evaluation"]),
        ("selection", ["union", "evaluation"]),
        ("train", ["base", "queries", "cat", "union", "evaluation"]),
    ],
)
def test_a_stage_is_missing_when_a_list_that_it_read_has_changed(prepared, recipe, finish, changed, stale):
    finish(recipe, only="split", **{changed: "second"})
    plan = make_plan(make_ablations(["gamma"], recipe), Store(prepared.store.work))
    own = plan.cells_of(node_of(plan, "split", "shared").id)[1].nodes  # of the unchanged recipe
    assert [plan.nodes[node].stage for node in own if plan.states[node] == "missing"] == stale
    assert plan.states[own[0]] == plan.states[own[2]] == "there"
    plan.store.prepare(plan.nodes, plan.states)
    lists = plan.store.run(plan.nodes[own[-1]]).record("split")["lists"]
    assert lists[changed] == "second"


def test_before_the_split_has_run_every_later_stage_is_missing(prepared, recipe):
    for split in (prepared.store.work, prepared.store.run(node_of(prepared, "split", "shared"))):
        (split.path / "split" / "result.txt").write_text("cut")
    plan = make_plan(make_ablations(["gamma"], recipe), Store(prepared.store.work))
    assert {node.stage for node in plan.nodes.values() if plan.states[node.id] == "there"} == {"data"}
