"""CLIP on masks through the commands, on a finished run."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import scaseg
from tiny_runs import TinyRun


@pytest.fixture
def run(tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Options for a copy of the finished run, which tests may change."""
    shutil.copytree(tiny_run.run, tmp_path / "run", symlinks=True)
    monkeypatch.chdir(tmp_path)
    return "-r", str(tiny_run.folder / "tiny.yaml"), "-w", str(tmp_path / "run")


def test_evaluate_adds_rows_and_predict_uses_them(
    run: tuple[str, ...], tiny_run: TinyRun, capfd: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((tiny_run.run / "evaluation" / "results.json").read_text())
    for weights in ("fixed", "tuned"):
        keys = "--set", "evaluation.clip_on_masks=crops", "--set", f"evaluation.clip_weights={weights}"
        assert scaseg(capfd, "evaluate", *run, *keys, "--json").code == 0
        after = json.loads(Path("run/evaluation/results.json").read_text())
        rows, old = after["rows"], before["rows"]
        assert [{k: v for k, v in row.items() if k != "image_tower"} for row in rows[: len(old)]] == old
        assert [row["image_tower"] for row in rows] == ["no"] * len(old) + ["yes"] * (len(rows) - len(old))
        assert rows[len(old)]["model"] == "CLIP on masks (crops)"
        assert Path("run/evaluation/clip-weights.json").exists() == (weights == "tuned")
        image = str(min((tiny_run.run / "data" / "validation").glob("*.png")))
        assert scaseg(capfd, "predict", *run, *keys, image, "--object-threshold", "0.05", "-o", weights).code == 0
        assert json.loads(Path(weights, "predictions.json").read_text(encoding="utf-8"))
    assert scaseg(capfd, "visualize", *run, *keys, "-n", "1").code == 0
