"""Files of a run folder that someone changed by hand: each command names the file, and status and report go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from command_line import Outcome, scaseg

from scaseg_cli.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from damaged_world import World


def _edit(path: Path, **changes: Any) -> None:
    write_json(path, json.loads(path.read_text()) | changes)


def _report(world: World, *arguments: str) -> Outcome:
    return scaseg(world.capfd, "report", "run", "--images", "0", "-o", "report.html", "--json", *arguments)


@pytest.mark.parametrize(
    ("content", "said"),
    [("[]", "got `array`"), ("{}", "missing required field"), ("[" * 500 + "]" * 500, "nested more than 100 deep")],
)
def test_status_names_a_damaged_record_and_shows_the_other_stages(world: World, content: str, said: str) -> None:
    (world.folder / "run" / "base" / "record.json").write_text(content)
    outcome = world.scaseg("status", "--json")
    assert outcome.code == 0
    table = json.loads(outcome.out)
    states = {row["stage"]: row["state"] for row in table["rows"]}
    assert states == dict.fromkeys(states, "done") | {"base": "damaged"}
    assert "run/base/record.json" in table["notes"][0]
    assert said in table["notes"][0]
    assert "Delete it; the base stage then counts as not done." in table["notes"][0]
    world.refuses("train-cat", saying=(r"base/record\.json", said, "Delete it"))


def test_report_goes_on_without_what_was_changed(world: World) -> None:
    run = world.folder / "run"
    _edit(run / "base" / "record.json", outputs=[])
    _edit(run / "union" / "choices.json", figures=[{"step": "x"}])
    write_json(run / "cat" / "curve.json", [{"iteration": 1, "loss": None}])
    outcome = _report(world)
    assert outcome.code == 0, outcome.err
    left_out = json.loads(outcome.out)["runs"][0]["left_out"]
    assert "run/base/record.json is not what scaseg wrote" in left_out["Curves: base"]
    assert "run/union/choices.json is not what scaseg wrote" in left_out["Curves: fine-tuning"]
    assert "run/cat/curve.json is not a table of losses" in left_out["Curves: generator"]
    assert (world.folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("results", {"rows": []}, r"results\.json does not have the rows of"),
        ("results", {"columns": [], "rows": []}, r"results\.json lacks the columns .*hpq"),
        ("results", {"rows": [{"pq": [1]}]}, r"results\.json is not what scaseg wrote"),
        ("per-class", {"columns": [], "rows": []}, r"per-class\.json lacks the columns class, pq, seen"),
        ("per-class", {"notes": None}, r"per-class\.json is not what scaseg wrote"),
    ],
)
def test_report_needs_its_tables(world: World, name: str, changes: dict[str, Any], said: str) -> None:
    _edit(world.folder / "run" / "evaluation" / f"{name}.json", **changes)
    outcome = _report(world)
    assert outcome.code == 2
    assert f"{name}.json is missing, or not what the evaluation wrote" in outcome.err
    world.adopt("evaluation")
    outcome = _report(world)
    assert outcome.code == 2
    world.refuses("report", "--images", "0", saying=(said,))


def test_evaluate_reads_choices_of_the_right_form(world: World) -> None:
    _edit(world.folder / "run" / "union" / "choices.json", chosen={"base": []})
    world.refuses("evaluate", saying=(r"union/choices\.json is not what the union stage wrote", "union-finetune"))
    world.adopt("union")
    world.refuses("evaluate", saying=(r"union/choices\.json is not what scaseg wrote: .*chosen", "union-finetune"))


@pytest.mark.parametrize("option", ["--work-dir", "--recipe"])
@pytest.mark.parametrize("command", ["status", "split-dataset", "run", "evaluate"])
def test_paths_that_no_file_can_have(world: World, command: str, option: str) -> None:
    for path in ("x" * 300, "a/" * 2500):
        outcome = scaseg(world.capfd, command, option, path)
        assert (outcome.code, outcome.out) == (2, ""), outcome.err
        assert "too long" in outcome.err or "there is no recipe" in outcome.err
    outcome = scaseg(world.capfd, command, option, "a\0b")
    assert (outcome.code, outcome.out) == (2, ""), outcome.err
    assert "has the character NUL" in outcome.err
