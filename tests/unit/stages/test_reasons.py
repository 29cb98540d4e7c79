"""Why a stage runs, in words: a key with both values, a list, a file, or an earlier stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import recording
from scaseg_cli.stages.outlook import outlooks
from scaseg_cli.stages.reasons import changes, in_brief

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe

LISTS = {"classes": "c", "train": "t", "selection": "s", "validation": "v"}


def finish(recipe: Recipe, run: RunDir, **lists: str) -> None:
    for stage in ("data", "split", "embeddings", "base", "queries", "cat", "union", "evaluation"):
        with recording(recipe, run, stage) as summary:
            if stage == "split":
                summary.lists = LISTS | lists


def why(run: RunDir, *assignments: str) -> dict[str, str]:
    return {one.stage: one.why for one in outlooks(load_recipe("shapes-zps", assignments), run) if one.runs}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    finish(load_recipe("shapes-zps"), run)
    return run


def test_nothing_is_said_about_what_is_up_to_date(run: RunDir) -> None:
    assert why(run) == {}
    assert why(run, "base.workers=3", "evaluation.batch_size=5") == {}


def test_a_key_is_named_with_both_values_and_what_follows_with_its_cause(run: RunDir) -> None:
    assert why(run, "base.v2c.gamma=3") == {
        "base": "base.v2c.gamma was 2.0, is 3.0",
        "queries": "base is another",
        "cat": "queries is another",
        "union": "cat is another",
        "evaluation": "union is another",
    }
    assert why(run, "evaluation.increments=[1.0]")["evaluation"].startswith("evaluation.increments was [0.0, ")


def test_three_keys_are_named_and_the_others_counted() -> None:
    then = {"seed": 0, "base": {"a": 1, "b": {"c": "x", "d": None}}}
    now = {"seed": 1, "base": {"a": 2, "b": {"c": "y", "d": 1.5}}}
    found = changes(then, now)
    assert found == ["seed was 0, is 1", "base.a was 1, is 2", "base.b.c was x, is y", "base.b.d was null, is 1.5"]
    assert in_brief(found) == "seed was 0, is 1; base.a was 1, is 2; base.b.c was x, is y; and 1 more"
    assert in_brief(found[:3]).endswith("is y")


def test_a_value_too_long_for_a_line_and_a_key_of_another_version_are_named_alone() -> None:
    assert changes({"a": "x" * 100, "old": 1}, {"a": "y", "new": 1}) == ["a has changed", "new is new", "old is gone"]
    assert changes({"a": None}, {"a": {"b": 1}}) == ['a was null, is {"b": 1}']


def test_a_changed_list_is_named(run: RunDir) -> None:
    recipe = load_recipe("shapes-zps")
    with recording(recipe, run, "split") as summary:
        summary.lists = LISTS | {"validation": "other"}
    assert why(run) == {"evaluation": "the validation images or their labels have changed"}


def test_a_changed_or_missing_outside_file_is_named(run: RunDir, tmp_path: Path) -> None:
    templates = tmp_path / "templates.txt"
    templates.write_text("a {}\n")
    change = f"embeddings.templates={templates}"
    with recording(load_recipe("shapes-zps", (change,)), run, "embeddings"):
        pass
    templates.write_text("the {}\n")
    assert why(run, change)["embeddings"] == f"{templates} has changed"
    templates.unlink()
    assert why(run, change)["embeddings"] == f"{templates} is gone"


def test_what_waits_for_another_split_says_so(run: RunDir) -> None:
    found = why(run, "split.unseen=[red ring]", "base.iterations=5")
    assert found["split"].startswith("split.unseen was ")
    assert found["embeddings"] == "split is another"
    assert found["base"] == "base.iterations was 400, is 5; split is another; embeddings is another"


def test_a_record_of_an_older_version_takes_the_folders_recipe(run: RunDir) -> None:
    record = run.record("base")
    del record["recipe"]
    run.write_record("base", record)
    assert why(run, "base.v2c.gamma=3")["base"] == "base.v2c.gamma was 2.0, is 3.0"
    run.recipe_file.unlink()
    assert why(run, "base.v2c.gamma=3")["base"] == "made by another recipe"
