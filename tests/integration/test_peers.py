"""`scaseg peers` on a finished run: its table, what it shares, and a row beside ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import scaseg

from scaseg_cli.evaluation.scored_set import ScoredSet

if TYPE_CHECKING:
    from tiny_runs import TinyRun

SMALL = "--set", "cat.iterations=4", "--set", "union.iterations=4", "--set", "cat.primitives=8"


@pytest.mark.slow
def test_every_peer_is_a_row_and_the_second_time_nothing_runs(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_run.run, tmp_path / "run", symlinks=True)
    monkeypatch.chdir(tmp_path)
    run = ("-r", str(tiny_run.folder / "tiny.yaml"), *SMALL, "-w", str(tmp_path / "run"))
    assert scaseg(capfd, "run", *run).code == 0  # the tiny run's generator and fine-tuning, but short
    found = scaseg(capfd, "peers", *run, "--json")
    assert found.code == 0, found.err
    table, published = json.loads(found.out)["tables"]
    rows = {row["name"]: row for row in table["rows"]}
    own = {"projection", "stacking", "control", "vae-published", "gmmn", "gmmn-pull", "pading", "pading-pull", "sca"}
    own |= {"ridge", "ridge-pull"}
    combined = {f"{name}+{view}" for name in (own | {"oracle-queries"}) - {"stacking"} for view in ("crops", "pooled")}
    oracles = {"oracle-queries", "oracle-increment"}
    assert set(rows) == own | {"clip-crops", "clip-pooled"} | combined | oracles
    assert {name for name, row in rows.items() if row["image_tower"]} == combined | {"clip-crops", "clip-pooled"}
    assert not rows["projection"]["unseen_names"]
    assert rows["pading"]["unseen_names"]
    assert rows["sca"]["difference"] is None
    assert rows["oracle-increment"]["harmonic"] >= rows["stacking"]["harmonic"]
    results = json.loads(Path("run/evaluation/results.json").read_text())["rows"]
    base = next(row for row in results if row["setting"] == "inductive" and row["increment"] == 0)
    assert rows["projection"]["harmonic"] == base["hpq"]
    assert {row["method"] for row in published["rows"]} == {"PADing, released code"}

    passes: list[str] = []
    monkeypatch.setattr(ScoredSet, "segment", lambda self, *_: passes.append(self.part))
    again = scaseg(capfd, "peers", *run, "--json")
    assert json.loads(again.out)["tables"][0]["rows"] == table["rows"]
    assert not passes
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    drawn = scaseg(capfd, "visualize", *run, "--baseline", "peers:pading", "-n", "1", "--json")
    assert drawn.code == 0, drawn.err
    assert json.loads(drawn.out)["summary"]["columns"]["baseline"]["title"] == "PADing's primitives"
    unknown = scaseg(capfd, "visualize", *run, "--baseline", "peers:nobody", "-n", "1")
    assert unknown.code == 2
    assert "nobody" in unknown.err
