"""`scaseg run --dry-run`, `status` and `clean` in a folder with kept results, which are records alone."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from command_line import Outcome, contents, scaseg

from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import recording
from scaseg_cli.stages.clean import in_units

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAGES = ("data", "split", "embeddings", "base", "queries", "cat", "union", "evaluation")


def finish(run: RunDir, *assignments: str, stages: tuple[str, ...] = STAGES) -> None:
    for stage in stages:
        output = run.path / stage / "result.txt"
        with recording(load_recipe("shapes-zps", assignments), run, stage, output) as summary:
            output.write_text(f"{stage} {assignments}")
            if stage == "split":
                summary.lists = {"classes": "c", "train": "t", "selection": "s", "validation": "v"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """The default run folder, whose own recipe has another fine-tuning than the default one, which is kept."""
    monkeypatch.chdir(tmp_path)
    run = RunDir(tmp_path / "runs" / "shapes-zps")
    finish(run)
    finish(run, "union.iterations=7", stages=("union", "evaluation"))
    return run


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def called(*arguments: str) -> Outcome:
        return scaseg(capfd, *arguments)

    return called


def document(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_status_takes_the_folders_own_recipe_and_lists_what_is_kept(
    run: RunDir, command: Callable[..., Outcome]
) -> None:
    outcome = command("status", "--json")
    found = document(outcome)
    assert {row["state"] for row in found["rows"]} == {"done"}
    assert [(row["stage"], row["state"]) for row in found["kept"]] == [
        ("union", "finished"),
        ("evaluation", "finished"),
    ]
    assert found["kept"][0]["differs"] == "union.iterations = 300"
    assert found["kept"][1]["differs"] == "an earlier stage is another"
    assert found["kept"][0]["bytes"] > 0
    assert "recipe: runs/shapes-zps/recipe.yaml, which differs from shapes-zps: union.iterations = 7" in outcome.err
    shown = command("status")
    assert "kept in " in shown.out
    assert "union.iterations = 300" in shown.out
    assert run.record("union") is not None


@pytest.mark.usefixtures("run")
def test_a_named_recipe_and_a_set_win_over_the_folders_own(command: Callable[..., Outcome]) -> None:
    named = command("status", "-r", "shapes-zps", "--json")
    assert {row["stage"]: row["state"] for row in document(named)["rows"]}["union"] == "kept"
    assert "recipe:" not in named.err
    changed = document(command("status", "--set", "union.iterations=9", "--json"))["rows"]
    reasons = {row["stage"]: row["why"] for row in changed}
    assert reasons["union"] == "union.iterations was 7, is 9"
    assert reasons["evaluation"] == "union is another"


def test_a_dry_run_says_what_runs_why_and_how_long_it_took(run: RunDir, command: Callable[..., Outcome]) -> None:
    before = contents(run.path)
    rows = document(command("run", "--set", "base.v2c.gamma=3", "--dry-run", "--json"))["rows"]
    assert [row["stage"] for row in rows if not row["runs"]] == ["split", "embeddings"]
    assert rows[2]["why"] == "base.v2c.gamma was 2.0, is 3.0"
    assert all(type(row["seconds"]) is float for row in rows)
    back = document(command("run", "--dry-run", "--json"))["rows"]
    assert [row["does"] for row in back] == ["up to date"] * 5 + ["put back"] * 2
    assert "0 of 7 stages run" in command("run", "--dry-run").out
    assert contents(run.path) == before


def test_clean_lists_and_asks_before_it_removes(run: RunDir, command: Callable[..., Outcome]) -> None:
    before = contents(run.path)
    listed = command("clean")  # no terminal, so no question
    assert listed.code == 0
    assert "nothing was removed; --yes" in listed.err
    assert "union.iterations = 300" in listed.out
    found = document(command("clean", "runs/shapes-zps", "--json"))
    assert (len(found["rows"]), found["removed"]) == (2, False)
    assert contents(run.path) == before
    removed = document(command("clean", "-w", "runs/shapes-zps", "--json", "--yes"))
    assert (removed["bytes"], removed["removed"]) == (found["bytes"], True)
    assert contents(run.path) == {name: sha for name, sha in before.items() if not name.startswith("kept")}
    assert not (run.path / "kept").exists()
    assert "nothing to remove" in command("clean", "--yes").err


def test_clean_leaves_what_the_recipe_points_to_and_what_is_recent(
    run: RunDir, command: Callable[..., Outcome]
) -> None:
    assert len(document(command("clean", "--older-than", "1", "--json"))["rows"]) == 0
    old = next((run.path / "kept" / "union").iterdir()) / "record.json"
    os.utime(old, (0, 0))
    assert [row["stage"] for row in document(command("clean", "--older-than", "1", "--json"))["rows"]] == ["union"]
    assert document(command("clean", "-r", "shapes-zps", "--json"))["rows"] == []  # they are this recipe's


def test_clean_names_a_folder_that_is_none(command: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = command("clean", str(tmp_path / "none"))
    assert outcome.code == 2
    assert "there is no run folder" in outcome.err


def test_sizes_are_shown_in_units() -> None:
    shown = [in_units(size) for size in (12, 3_400, 5_600_000, 78_900_000_000)]
    assert shown == ["12 bytes", "3.4 kB", "5.6 MB", "78.9 GB"]
