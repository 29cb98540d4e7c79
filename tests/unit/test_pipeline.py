"""`run_all` knows its stages, and reads the reports of those that are up to date."""

from pathlib import Path
from typing import Any

import pytest

from scaseg_cli import pipeline
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe, recipe_of, save_recipe
from scaseg_cli.results.table import Column, Table, paths_of, write
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import STAGES, recording, stages_for
from scaseg_cli.stages.kept import all_kept


def states(run: RunDir, *changes: str) -> dict[str, Any]:
    table = pipeline.stage_states(load_recipe("shapes-zps", changes), run)
    return {row["stage"]: row["state"] for row in table.rows}


def test_every_stage_has_a_step_and_the_order_is_the_stages() -> None:
    assert [stage for stage in STAGES if stage != "data"] == list(pipeline.STEPS)


def test_the_inductive_setting_leaves_stages_two_and_three_out(tmp_path: Path) -> None:
    assert list(states(RunDir(tmp_path), "evaluation.setting=inductive")) == [
        "split",
        "embeddings",
        "base",
        "evaluation",
    ]


def test_a_split_without_its_drawn_data_is_not_up_to_date(tmp_path: Path) -> None:
    run, recipe = RunDir(tmp_path), load_recipe("shapes-zps")
    run.folder("split")
    run.classes_file.write_text("[]")
    with recording(recipe, run, "split", run.classes_file):
        pass
    assert states(run)["split"] == "stale"
    with recording(recipe, run, "data"):
        pass
    assert states(run)["split"] == "done"
    assert states(run, "data.shapes.seed=1")["split"] == "stale"


def test_a_stage_that_was_cut_short_has_begun(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.folder("base")
    assert states(run)["base"] == "begun"


ONE_RUN = set(stages_for(load_recipe("shapes-zps")))  # folds are for recipes that choose on them


def finished(run: RunDir) -> Table:
    """Records of all stages, as if they had run, with a result table."""
    recipe = load_recipe("shapes-zps")
    table = Table("results", [Column("a", "A", "percent")], [{"a": 0.25}, {}], ["a note"])
    for stage in stages_for(recipe):
        folder = run.folder(stage)
        outputs = write(table, folder, "results") if stage == "evaluation" else [folder / "file"]
        for path in outputs:
            path.touch()
        with recording(recipe, run, stage, *outputs) as summary:
            summary["of"] = stage
    return table


def test_a_run_that_is_up_to_date_does_nothing_and_has_its_result(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    table = finished(run)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    reports = pipeline.run_all(load_recipe("shapes-zps"), run)
    assert [report.stage for report in reports] == [stage for stage in pipeline.STEPS if stage in ONE_RUN]
    assert {report.summary["ran"] for report in reports} == {False}
    assert {type(report.summary["seconds"]) for report in reports} == {float}
    assert reports[2].summary["of"] == "base"
    assert [shown.as_json_value() for shown in reports[-1].tables] == [table.as_json_value()]
    assert reports[-1].wrote == paths_of(run.path / "evaluation", "results")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_recipe_that_is_up_to_date_becomes_the_run_folders_own(tmp_path: Path) -> None:
    """A command that was killed may have left the recipe that it was about to run."""
    run, recipe = RunDir(tmp_path), load_recipe("shapes-zps")
    finished(run)
    save_recipe(load_recipe("shapes-zps", ("union.iterations=7",)), run.recipe_file)
    pipeline.run_all(recipe, run)
    assert recipe_of(tmp_path) == recipe


def test_a_kept_result_is_put_back_and_what_runs_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run, other = RunDir(tmp_path), load_recipe("shapes-zps", ("union.iterations=7",))
    finished(run)
    for stage in ("union", "evaluation"):
        with recording(other, run, stage):
            pass
    said = capfd.readouterr().err.splitlines()
    assert said == ["union: union.iterations was 300, is 7", "evaluation: union is another"]
    reports = pipeline.run_all(load_recipe("shapes-zps"), run)
    assert {report.summary["ran"] for report in reports} == {False}
    assert "union: the kept result of this recipe is back" in capfd.readouterr().err
    assert {kept.stage for kept in all_kept(run)} == {"union", "evaluation"}


def test_a_batch_that_does_not_divide_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    recipe = load_recipe("shapes-zps", ("processes=3",))
    with pytest.raises(ScasegError, match=r"base\.batch_size 8 is not divisible by 3"):
        pipeline.run_all(recipe, RunDir(tmp_path))
    assert not list(tmp_path.iterdir())
