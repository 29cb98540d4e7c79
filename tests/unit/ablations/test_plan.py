"""The plan of ablations: shared stages, stages left to run, and their jobs."""

from collections import Counter

import pytest

from scaseg_cli.ablations.ablate import make_ablations
from scaseg_cli.ablations.forecast import forecast_tables, forecast_value, totals
from scaseg_cli.ablations.listing import list_table
from scaseg_cli.ablations.plan import make_plan
from scaseg_cli.ablations.store import Store
from scaseg_cli.errors import ScasegError
from scaseg_cli.run_dir import RunDir

WITHOUT_TRAINING = ("null-embedding", "pseudo-seen", "pseudo-unseen", "increment")


def stages(plan, state="missing"):
    return Counter(node.stage for node in plan.nodes.values() if plan.states[node.id] == state)


@pytest.fixture
def plan_of(recipe, tmp_path):
    def make(*names, work="work", **arguments):
        return make_plan(make_ablations(names, recipe, **arguments), Store(RunDir(tmp_path / work)))

    return make


def test_four_tables_need_one_base_model_and_one_query_file(plan_of):
    found = stages(plan_of(*WITHOUT_TRAINING))
    # cells: 2 + 4 + 5 + 4, of which four are the unchanged recipe
    assert found == {"data": 1, "split": 1, "embeddings": 1, "base": 1, "queries": 1, "cat": 2, "union": 9} | {
        "evaluation": 12
    }


def test_after_a_finished_run_they_train_nothing_of_the_network(plan_of, finish, recipe):
    finish(recipe)
    plan = plan_of(*WITHOUT_TRAINING)
    assert stages(plan) == {"cat": 1, "union": 8, "evaluation": 11}
    assert stages(plan, "shared") == dict.fromkeys(("data", "split", "embeddings", "base", "queries", "cat"), 1) | {
        "union": 1,
        "evaluation": 1,
    }
    jobs = plan.jobs()
    assert [(job.stage, len(job.nodes)) for job in jobs] == [("cat", 1), ("union", 8), ("evaluation", 11)]
    assert jobs[1].needs == jobs[0].nodes
    assert set(jobs[2].needs) == {*jobs[0].nodes, *jobs[1].nodes}


def test_each_seed_adds_a_base_model(plan_of):
    found = stages(plan_of(*WITHOUT_TRAINING, seeds=[0, 1, 2]))
    assert (found["data"], found["embeddings"], found["base"], found["union"]) == (1, 1, 3, 27)


def test_the_second_and_third_table_share_the_first_ones_base_models(plan_of):
    one, both = stages(plan_of("bank-size")), stages(plan_of("bank-size", "bank-temperature"))
    assert (one["base"], both["base"]) == (4, 4)
    assert (one["cat"], both["cat"]) == (4, 8)


def test_jobs_of_one_base_model_follow_each_other(plan_of):
    jobs = plan_of("gamma", "pseudo-seen").jobs()
    # 2.0 is the recipe's own value: the cells of pseudo-seen join its jobs
    assert [(job.stage, len(job.nodes)) for job in jobs] == [
        *[("data", 1), ("split", 1), ("embeddings", 1)],
        *[("base", 1), ("queries", 1), ("cat", 1), ("union", 1), ("evaluation", 1)],
        *[("base", 1), ("queries", 1), ("cat", 1), ("union", 4), ("evaluation", 4)],
        *[("base", 1), ("queries", 1), ("cat", 1), ("union", 1), ("evaluation", 1)],
    ]
    assert len({job.name for job in jobs}) == len(jobs)


def test_inductive_figures_need_stage_1_only(plan_of):
    assert set(stages(plan_of("increment"))) == {"data", "split", "embeddings", "base", "evaluation"}
    assert "union" not in stages(plan_of("bank-size", settings=["inductive"]))


def test_an_inductive_cell_takes_its_figure_from_an_evaluation_in_both_settings(plan_of, finish, recipe):
    finish(recipe)
    assert stages(plan_of("increment"))["evaluation"] == 3
    assert stages(plan_of("increment", "gamma", work="other"))["evaluation"] == 3 + 3


def test_a_plain_loop_shares_nothing(plan_of, finish, recipe):
    finish(recipe)
    assert plan_of(*WITHOUT_TRAINING).num_plain == (2 + 4 + 5) * 8 + 4 * 5


def test_the_users_own_data_needs_no_data_stage(recipe, tmp_path):
    data = recipe.data.model_copy(update={"shapes": None, "root": str(tmp_path)})
    own = recipe.model_copy(update={"data": data})
    plan = make_plan(make_ablations(["gamma"], own), Store(RunDir(tmp_path / "work")))
    assert "data" not in stages(plan)


def test_all_adds_the_ablations_that_are_reported_in_the_setting(recipe):
    names = [ablation.name for ablation in make_ablations(["all"], recipe, settings=["inductive"])]
    assert names == ["bank-size", "bank-temperature", "increment", "gamma", "enhancement", "enhancement-literal",
                     "components", "clip-view", "templates"]  # fmt: skip
    with pytest.raises(ScasegError, match="pseudo-seen has no row in the inductive setting"):
        make_ablations(["all", "pseudo-seen"], recipe, settings=["inductive"])


def test_values_need_exactly_one_ablation(recipe):
    with pytest.raises(ScasegError, match="--values needs exactly one ablation, 2 are given"):
        make_ablations(["gamma", "bank-size"], recipe, values=[1])


def test_a_name_twice_is_one_ablation(recipe):
    assert len(make_ablations(["gamma", "gamma", "all"], recipe)) == 17


def test_two_files_of_one_name(recipe, tmp_path):
    (tmp_path / "gamma.yaml").write_text("title: Own\nvaries: [base.v2c.gamma]\nvalues: [1.0]\n")
    with pytest.raises(ScasegError, match="two ablations are named 'gamma'"):
        make_ablations(["gamma", str(tmp_path / "gamma.yaml")], recipe)


def test_the_forecast_lists_the_stages_to_run_with_estimated_seconds(plan_of, finish, recipe):
    run = finish(recipe)
    record = run.record("base")
    record.update(seconds=100.0, summary={"iterations": recipe.base.iterations // 2})
    run.write_record("base", record)
    for stage in ("queries", "cat", "union", "evaluation"):
        record = run.record(stage)
        run.write_record(stage, record | {"seconds": 1.0})
    plan = plan_of("gamma")
    assert plan.estimate(plan.missing) == pytest.approx(2 * 200.0 + 2 * 4)
    by_stage, by_cell = forecast_tables(plan)
    rows = {row["stage"]: row for row in by_stage.rows}
    assert (rows["base"]["needed"], rows["base"]["shared"], rows["base"]["run"]) == (3, 1, 2)
    assert (rows["all"]["run"], rows["all"]["seconds"]) == (10, pytest.approx(408.0))
    assert [row["runs"] for row in by_cell.rows] == [
        "base, queries, cat, union, evaluation",
        None,
        "base, queries, cat, union, evaluation",
    ]
    value = forecast_value(plan)
    assert value["num_run"] == 10
    assert {node["state"] for node in value["nodes"]} == {"shared", "missing"}


def test_a_stage_that_never_ran_takes_an_unknown_time(plan_of):
    assert totals(plan_of("gamma"))["seconds"] is None


def test_planning_writes_nothing(plan_of, finish, recipe, tmp_path):
    finish(recipe)
    before = sorted(tmp_path.rglob("*"))
    forecast_value(plan_of("all"))
    assert sorted(tmp_path.rglob("*")) == before


def test_the_list_names_the_first_stage_that_runs_again(recipe):
    rows = {row["name"]: row for row in list_table(recipe).rows}
    assert {name: row["runs"] for name, row in rows.items()} == {
        **dict.fromkeys(("bank-size", "bank-temperature", "gamma", "enhancement", "enhancement-literal"), "base"),
        **dict.fromkeys(("components", "clip-view"), "base"),
        **dict.fromkeys(("null-embedding", "generator", "peers", "cat-losses", "live-vs-cache"), "cat"),
        **dict.fromkeys(("pseudo-seen", "pseudo-unseen", "unseen-pull"), "union"),
        "increment": "evaluation",
        "templates": "embeddings",
    }
    assert (rows["bank-size"]["table"], rows["bank-size"]["cells"]) == ("Table 1", 4)
    assert rows["components"]["table"] is None


def test_rows_that_choose_on_folds_share_the_folds(own, tmp_path):
    found = make_plan([own(varies=["union.pseudo_unseen"], values=[10, 20])], Store(RunDir(tmp_path / "work")))
    assert not {"folds", "choose"} & set(stages(found))
    auto = {"evaluation.choose_on": "seen_folds", "union.unseen_pull.beta": "auto"}
    rows = [{"label": str(count), "set": {"union.pseudo_unseen": count, **auto}} for count in (10, 20)]
    found = make_plan([own(rows=rows, settings=["transductive"])], Store(RunDir(tmp_path / "work")))
    assert (stages(found)["folds"], stages(found)["choose"], stages(found)["union"]) == (1, 2, 3)
    folds = next(node for node in found.nodes.values() if node.stage == "folds")
    assert all(folds.id in node.earlier for node in found.nodes.values() if node.stage == "choose")
