"""The shipped MaskFormer recipes from the data to a prediction and a report, at a reduced size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import scaseg

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    "data.shapes.num_train=40", "data.shapes.num_selection=12", "data.shapes.num_validation=9", "base.iterations=6",
    "base.batch_size=4", "base.warmup=0", "base.decoder_layers=2", "base.validate_every=0", "cat.iterations=10",
    "cat.batch_size=32", "union.iterations=6", "union.batch_size=32", "union.candidates=2",
    "evaluation.object_threshold=0.0", "evaluation.increments=[1.0]",
)  # fmt: skip


@pytest.mark.parametrize(("name", "measure"), [("shapes-zps-maskformer", "pq"), ("shapes-zss-maskformer", "iou")])
def test_a_run_on_maskformer(
    name: str, measure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = [word for change in SMALL for word in ("--set", change)]
    outcome = scaseg(capfd, "run", "-r", name, "-w", "run", *sets, "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["tables"][0]["rows"]
    assert {row["setting"] for row in rows} == {"inductive", "transductive", "control"}
    assert all(row[f"s{measure}"] is not None for row in rows)
    losses = (tmp_path / "run" / "base" / "losses.csv").read_text().splitlines()[0]
    assert "loss_v2c" in losses
    assert "d0.loss_dice" in losses
    store = json.loads((tmp_path / "run" / "queries" / "record.json").read_text())["summary"]
    assert store["matched"] > 0
    images = sorted((tmp_path / "run" / "data" / "validation").glob("*.png"))[:2]
    outcome = scaseg(capfd, "predict", *map(str, images), "-w", "run", "-o", "found", "--json")
    assert outcome.code == 0, outcome.err
    outcome = scaseg(capfd, "export", "run", "--format", "mmdet", "-o", "exported")
    assert (outcome.code, "writes a Mask2Former" in outcome.err) == (2, True)
    assert scaseg(capfd, "report", "run", "--images", "4").code == 0
    assert (tmp_path / "run" / "report.html").is_file()
