import json
from pathlib import Path

import pytest

from scaseg_cli.comparison.finished_run import labels_of, open_run
from scaseg_cli.errors import ScasegError
from scaseg_cli.html_report.provenance import provenance
from scaseg_cli.recipe import load_recipe, recipe_of

STAGES = ["data", "split", "embeddings", "base", "queries", "cat", "union", "evaluation"]


def test_a_run_has_the_records_that_its_evaluation_was_made_from(make_run):
    run = make_run()
    assert sorted(run.records) == sorted(STAGES)
    assert (run.doubts, run.is_own) == ({}, True)
    assert list(run.main_rows) == ["inductive", "transductive"]
    assert run.main_rows["transductive"][run.figure_keys["harmonic"]] == 0.48


def test_a_stage_that_was_run_again_is_in_doubt_and_so_are_the_stages_before_it(make_run):
    run = make_run()
    path = run.run.record_file("cat")
    path.write_text(path.read_text().replace('"key": "', '"key": "0'))
    again = open_run("one", run.run.path, run.recipe)
    assert sorted(again.records) == ["evaluation", "union"]
    assert again.doubts["cat"] == "the cat stage was run again after the evaluation"
    assert sorted(again.doubts) == ["base", "cat", "data", "embeddings", "queries", "split"]


def test_a_stage_whose_record_is_missing_is_in_doubt(make_run):
    run = make_run()
    run.run.record_file("queries").unlink()
    again = open_run("one", run.run.path, run.recipe)
    assert again.doubts["queries"] == "the queries stage is missing"
    assert "cat" in again.records


def test_a_recipe_other_than_the_evaluations_is_detected(make_run):
    run = make_run()
    assert not open_run("one", run.run.path, load_recipe("shapes-zps", ("seed=9",))).is_own


@pytest.mark.parametrize("file", ["results.json", "per-class.json"])
def test_a_table_that_is_missing_or_changed_is_refused(make_run, file):
    run = make_run()
    path = run.run.path / "evaluation" / file
    path.write_text(path.read_text().replace("0.", "0.9", 1))
    with pytest.raises(ScasegError, match=f"{file} is missing, or not what") as caught:
        open_run("one", run.run.path, run.recipe)
    assert f"scaseg evaluate -r {run.run.recipe_file}" in caught.value.hint


def test_the_recipe_is_that_of_the_folder(make_run, tmp_path):
    run = make_run(changes=("seed=5",))
    assert recipe_of(run.run.path).seed == 5
    assert recipe_of(run.run.path, ("gpus=2",)).gpus == 2
    with pytest.raises(ScasegError, match=r"has no recipe\.yaml"):
        recipe_of(tmp_path)


def test_runs_are_named_after_their_folders_unless_two_names_are_equal(tmp_path):
    assert labels_of([Path("runs/one"), Path("runs/two/")]) == ["one", "two"]
    assert labels_of([Path("a/one"), Path("b/one")]) == ["a/one", "b/one"]
    with pytest.raises(ScasegError, match="given twice"):
        labels_of([tmp_path / "one", tmp_path / "two" / ".." / "one"])


def test_the_provenance_comes_from_the_records(make_run):
    run = make_run()
    path = run.run.record_file("union")
    record = json.loads(path.read_text())
    record.update(versions={"torch": "2.2"}, commit=None, gpus=4, nodes=2)
    path.write_text(json.dumps(record))
    made = provenance(open_run("one", run.run.path, run.recipe))
    assert [row["stage"] for row in made.stages.rows] == STAGES
    assert made.seconds == 8 * 1.5
    assert made.versions == {"torch": ["2.1", "2.2"]}
    assert made.commits == ["abc" * 13]
    union = made.stages.rows[6]
    assert (union["where"], union["commit"], union["seed"]) == ("2 machines, 4 GPUs each", None, 3)
    assert made.stages.rows[0]["where"] == "1 CPU process"
