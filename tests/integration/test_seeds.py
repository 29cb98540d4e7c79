"""`scaseg run --seeds` and `scaseg compare` on short runs: folders, resuming, and figures computed by hand."""

from __future__ import annotations

import json
import shutil
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import pytest
from command_line import scaseg
from tiny_runs import write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_runs import TinyRun

SEEDS = (0, 1)
RUN = ("run", "-r", "tiny.yaml", "--seeds", "0,1", "--set", "evaluation.setting=inductive")


@pytest.fixture
def folder(tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run of seed 0, which is the current folder."""
    write_recipe(tmp_path)
    shutil.copytree(tiny_run.run, tmp_path / "runs" / "tiny")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_seeds_and_their_comparison(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    planned = json.loads(scaseg(capfd, *RUN, "--dry-run", "--json").out)["rows"]
    assert not (folder / "runs" / "tiny" / "seeds").exists()
    first = scaseg(capfd, *RUN, "--json")
    assert first.code == 0, first.err
    found = json.loads(first.out)
    ran = {one["seed"]: [stage["stage"] for stage in one["stages"] if stage["ran"]] for one in found["seeds"]}
    assert ran == {0: ["evaluation"], 1: ["base", "evaluation"]}
    assert [(row["seed"], row["stage"]) for row in planned if row["runs"]] == [
        (str(seed), stage) for seed, stages in ran.items() for stage in stages
    ]
    shared = {(row["seed"], row["stage"]): row["why"] for row in planned if row["does"] == "shared"}
    assert shared["0", "base"] == "with runs/tiny"
    assert "seed 0: shares data, split, embeddings, base\n" in first.err
    assert "seed 1: shares data, split, embeddings\n" in first.err
    image = "data/train/000000000001.png"
    seeds = folder / "runs" / "tiny" / "seeds"
    images = [next((run).rglob(image.rpartition("/")[2])) for run in (folder / "runs" / "tiny" / "data", seeds / "1")]
    assert images[0].stat().st_ino == images[1].stat().st_ino

    own = {seed: _rows(seeds / str(seed) / "evaluation" / "results.json") for seed in SEEDS}
    table = _rows(seeds / "results.json")
    assert [row["seed"] for row in table] == ["0", "1", "mean"] * len(own[0])
    for place, row in enumerate(table[2::3]):
        for key in ("spq", "upq", "hpq", "ssq"):
            values = [own[seed][place][key] for seed in SEEDS]
            assert row[key] == pytest.approx(mean(values))
            assert row[f"{key}_spread"] == pytest.approx(stdev(values))
            assert [one[key] for one in table[3 * place : 3 * place + 2]] == values
    assert len({row["spq"] for row in table[:2]}) == 2  # the seeds did train differently
    assert "\\toprule" in (seeds / "results.tex").read_text()

    again = scaseg(capfd, *RUN)
    assert again.code == 0
    assert again.err.count("base: up to date") == 2
    assert f"next: scaseg report {seeds.relative_to(folder)}" in again.err

    shutil.copytree(seeds, folder / "runs" / "other" / "seeds")
    changed = scaseg(capfd, *RUN, "-w", "runs/other", "--set", "evaluation.inductive_increment=9.0")
    assert changed.code == 0, changed.err
    compared = scaseg(capfd, "compare", "runs/tiny/seeds", "runs/other/seeds", "--by-class", "--json", "-o", "tables")
    assert compared.code == 0, compared.err
    (value,) = json.loads(compared.out)["comparisons"]
    others = {
        seed: _rows(folder / "runs" / "other" / "seeds" / str(seed) / "evaluation/results.json") for seed in SEEDS
    }
    row = next(row for row in value["main"]["rows"] if row["run"] == "other" and row["setting"] == "inductive")
    for key, change in (("spq", "seen_change"), ("upq", "unseen_change"), ("hpq", "change")):
        differences = [others[seed][1][key] - own[seed][1][key] for seed in SEEDS]
        assert row[change] == pytest.approx(mean(differences))
        assert row[f"{change}_spread"] == pytest.approx(stdev(differences))
    assert len(value["by_class"]["rows"]) == 40
    assert (folder / "tables" / "compare-by-class.tex").is_file()

    report = scaseg(capfd, "report", "runs/tiny/seeds", "--images", "0", "--json")
    assert report.code == 0, report.err
    assert json.loads(report.out)["means"][0]["rows"] == table
    assert (seeds / "report.html").is_file()


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"]
    return rows


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--seeds", "0,0"), "--seeds '0,0' is not a list of distinct whole numbers"),
        (("run", "--seeds", "0,1", "--seed", "3"), "--seed and --seeds both set the seed"),
        (("run", "--seeds", "0,1", "--nodes", "2"), "nodes is 2, and --node-rank is missing"),
        (("run", "--seeds", "0,1", "--dry-run", "--seed", "3"), "--seed and --seeds both set the seed"),
        (("compare", "runs/tiny"), "only one run is named: runs/tiny"),
        (("compare", "runs/tiny", "runs/none"), "runs/none is not a run folder"),
        (("compare", "runs/tiny", "runs/tiny"), "runs/tiny is given twice"),
    ],
)
def test_what_is_wrong_is_said(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    outcome = scaseg(capfd, *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {says}")
    assert not (folder / "runs" / "tiny" / "seeds").exists()
