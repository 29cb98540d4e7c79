"""`scaseg run` from nothing to the result table, and again when nothing is left to do."""

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import STAGES, TinyRun, scaseg, scaseg_json


def table_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    return report["tables"][0]["rows"]


def states(folder: Path, *arguments: str) -> dict[str, str]:
    rows = scaseg_json(folder, "status", "-r", "tiny.yaml", *arguments)["rows"]
    return {row["stage"]: row["state"] for row in rows}


def test_the_document_on_stdout_says_which_stages_ran(tiny_run: TinyRun) -> None:
    assert [stage["stage"] for stage in tiny_run.report["stages"]] == list(STAGES)
    for stage in tiny_run.report["stages"]:
        assert stage["ran"] is True
        assert stage["seconds"] > 0
    assert tiny_run.report["stage"] == "evaluation"
    assert tiny_run.report["next_command"] is None


def test_the_table_has_every_setting_and_only_fractions(tiny_run: TinyRun) -> None:
    rows = table_of(tiny_run.report)
    assert {row["setting"] for row in rows} == {"inductive", "control", "transductive"}
    for row in rows:
        for letter in "suh":
            for measure in ("pq", "sq", "rq"):
                assert 0 <= row[f"{letter}{measure}"] <= 1


def test_harmonic_means_are_of_the_seen_and_the_unseen_column(tiny_run: TinyRun) -> None:
    for row in table_of(tiny_run.report):
        seen, unseen = row["spq"], row["upq"]
        expected = 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0
        assert row["hpq"] == pytest.approx(expected, abs=1e-12)


def test_files_hold_the_same_table(tiny_run: TinyRun) -> None:
    folder = tiny_run.run / "evaluation"
    rows = table_of(tiny_run.report)
    assert json.loads((folder / "results.json").read_text())["rows"] == rows
    with open(folder / "results.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["spq"]) for row in read] == [row["spq"] for row in rows]
    assert (folder / "results.md").read_text().count("\n| ") >= len(rows)


def test_what_the_report_names_is_there(tiny_run: TinyRun) -> None:
    for name in tiny_run.report["wrote"]:
        assert (tiny_run.folder / name).is_file()


def test_records_hold_the_hashes_of_what_was_written(tiny_run: TinyRun) -> None:
    for stage in STAGES:
        record = json.loads((tiny_run.run / stage / "record.json").read_text())
        assert record["outputs"]
        for name, output in record["outputs"].items():
            assert hashlib.sha256((tiny_run.run / name).read_bytes()).hexdigest() == output["sha256"]


def test_no_progress_and_no_temporary_file_is_left(tiny_run: TinyRun) -> None:
    left = [path for path in tiny_run.run.rglob("*") if "progress" in path.name or path.name.endswith(".tmp")]
    assert left == []


def test_a_second_run_does_nothing_and_tells_the_same(tiny_run: TinyRun) -> None:
    def stamps() -> dict[Path, int]:
        files = (path for path in tiny_run.run.rglob("*") if path.is_file() and path.name not in (".lock", "log.txt"))
        return {path: path.stat().st_mtime_ns for path in files}

    before = stamps()
    again = scaseg_json(tiny_run.folder, "run", "-r", "tiny.yaml")
    assert stamps() == before
    assert [stage["ran"] for stage in again["stages"]] == [False] * len(STAGES)
    assert table_of(again) == table_of(tiny_run.report)
    said = (tiny_run.folder / "stderr.txt").read_text()
    for stage in STAGES:
        assert f"\n{stage}: up to date\n" in said


def test_a_changed_recipe_makes_stale_what_depends_on_it(tiny_run: TinyRun) -> None:
    assert set(states(tiny_run.folder).values()) == {"done"}
    changed = states(tiny_run.folder, "--set", "union.pseudo_unseen=3")
    assert {stage for stage, state in changed.items() if state == "stale"} == {"union", "evaluation"}
    changed = states(tiny_run.folder, "--seed", "1")
    assert {stage for stage, state in changed.items() if state == "done"} == {"split", "embeddings"}


def test_a_changed_recipe_runs_the_stale_stages_alone(tiny_run: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path, dirs_exist_ok=True)
    change = ("--set", "evaluation.inductive_increment=2")
    report = scaseg_json(tmp_path, "run", "-r", "tiny.yaml", *change)
    assert [stage["stage"] for stage in report["stages"] if stage["ran"]] == ["evaluation"]
    assert {row["increment"] for row in table_of(report) if row["setting"] == "inductive"} == {0.0, 2.0}
    assert "inductive_increment: 2.0" in (tmp_path / "runs" / "tiny" / "recipe.yaml").read_text()


def test_tables_go_to_stdout_and_talk_does_not(tiny_run: TinyRun) -> None:
    out = scaseg(tiny_run.folder, "run", "-r", "tiny.yaml")
    assert out.startswith("tiny: panoptic quality")
    assert "up to date" not in out


def test_a_live_generator_reads_the_segmentor_and_can_be_used(tiny_run: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path, dirs_exist_ok=True)
    before = hashlib.sha256((tmp_path / "runs/tiny/cat/generator.safetensors").read_bytes()).hexdigest()
    short = ("-r", "tiny.yaml", "--set", "cat.iterations=3", "--set", "cat.live_images=4")
    report = scaseg_json(tmp_path, "train-cat", *short, "--live")
    assert hashlib.sha256((tmp_path / "runs/tiny/cat/generator.safetensors").read_bytes()).hexdigest() != before
    assert "cat.live=true" in report["next_command"]
    assert states(tmp_path, *short[2:], "--set", "cat.live=true")["cat"] == "done"
    assert states(tmp_path, *short[2:])["cat"] == "stale"


def test_the_table_by_class_is_shown_on_request(tiny_run: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path, dirs_exist_ok=True)
    tables = scaseg_json(tmp_path, "evaluate", "-r", "tiny.yaml", "--per-class")["tables"]
    results, intervals, neighbours, by_class = tables
    for row, of_images in zip(results["rows"], intervals["rows"], strict=True):
        assert row["hpq"] == of_images["harmonic"]
        assert of_images["harmonic_low"] <= of_images["harmonic"] <= of_images["harmonic_high"]
    assert len(by_class["rows"]) == 40
    figures = {row["class"]: row["pq"] for row in by_class["rows"]}
    assert {row["class"] for row in by_class["rows"] if not row["seen"]} >= {"red ring", "blue checks"}
    assert [row["unseen"] for row in neighbours["rows"]] == [
        row["class"] for row in by_class["rows"] if not row["seen"]
    ]
    for row in neighbours["rows"]:  # both tables end with the transductive row
        assert (row["unseen_after"], row["seen_after"]) == (figures[row["unseen"]], figures[row["seen"]])
