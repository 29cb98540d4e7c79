"""Measurements on selection images during stage 1: they change no weight, and a resumed training has the same curve."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from foreign_checkpoints import names_of_detectron, own_model_of_mmdetection
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import write_recipe

from scaseg_cli import pipeline
from scaseg_cli.base.validation import Validation
from scaseg_cli.checkpoints import load_tensors
from scaseg_cli.html_report.curves import read_validation
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_runs import TinyRun

    from scaseg_cli.recipe.schema import Recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    changes = ("base.validate_every=6", "base.validate_images=5", "base.iterations=16")
    return load_recipe(str(write_recipe(tmp_path)), changes)


@pytest.fixture
def run(tiny_run: TinyRun, tmp_path: Path) -> RunDir:
    """A run with everything before the base."""
    for name in ("data", "split", "embeddings"):
        shutil.copytree(tiny_run.run / name, tmp_path / "run" / name)
    return RunDir(tmp_path / "run")


def test_measuring_changes_no_weight_and_an_interrupted_training_has_the_same_curve(
    tiny_run: TinyRun, recipe: Recipe, run: RunDir, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    measure = Validation._measure

    def interrupted(self: Validation, runner: object, done: int) -> None:
        if done == 12:
            raise KeyboardInterrupt
        measure(self, runner, done)

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "_measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pipeline.train_base(recipe, run)
    assert run.validation_file.read_text().splitlines()[1].startswith("6,")
    report = pipeline.train_base(recipe, run)
    assert "resuming from iteration 12" in capfd.readouterr().err
    # the tiny run was trained without a measurement, since it is shorter than its recipe's interval
    assert not (tiny_run.run / "base" / "validation.csv").exists()
    assert run.base_file.read_bytes() == RunDir(tiny_run.run).base_file.read_bytes()
    assert is_done(recipe, run, "base")
    assert is_done(load_recipe(str(tiny_run.folder / "tiny.yaml")), run, "base")  # the keys of measuring change nothing

    curve = read_validation(run)
    assert curve is not None
    assert curve.steps == [6, 12, 16]
    assert set(curve.values) == {"seen", "unseen", "harmonic"}
    best = report.summary["selection"]["best"]
    _, meta = load_tensors(run.best_base_file, "base model", "")
    assert meta["iterations"] == best["iteration"]
    assert best["harmonic"] == max(curve.values["harmonic"])
    assert [table.title for table in report.tables] == ["base: losses", "base: selection images"]
    events = EventAccumulator(str(run.path / "base" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("selection/sPQ")] == [5, 11, 15]

    uninterrupted = RunDir(run.path.with_name("again"))
    for name in ("data", "split", "embeddings"):
        shutil.copytree(run.path / name, uninterrupted.path / name)
    pipeline.train_base(recipe, uninterrupted)
    assert uninterrupted.validation_file.read_bytes() == run.validation_file.read_bytes()
    assert uninterrupted.best_base_file.read_bytes() == run.best_base_file.read_bytes()


def test_figures_that_are_all_zero_say_why(recipe: Recipe, run: RunDir, capfd: pytest.CaptureFixture[str]) -> None:
    changed = recipe.model_copy(
        update={
            "base": recipe.base.model_copy(update={"iterations": 2, "validate_every": 2}),
            "evaluation": recipe.evaluation.model_copy(update={"object_threshold": 1.0, "setting": "inductive"}),
        }
    )
    pipeline.train_base(changed, run)
    said = " ".join(capfd.readouterr().err.split())
    assert "base: all figures on the selection images are 0: " in said
    report = pipeline.evaluate(changed, run)
    note = report.tables[0].notes[-1]
    queries = 16 * recipe.base.num_queries
    assert note.startswith(
        f"All figures are 0: none of {queries} queries on 16 images passed evaluation.object_threshold 1;"
    )
    assert "the largest class probability is 0." in note
    assert "--set evaluation.object_threshold=0." in note


def test_stage_1_starts_from_a_checkpoint_with_detectrons_names(
    recipe: Recipe, run: RunDir, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = names_of_detectron(own_model_of_mmdetection(recipe.base, 40).state_dict())
    torch.save({"model": state}, tmp_path / "model.pth")
    changes = {"iterations": 2, "validate_every": 0, "init": str(tmp_path / "model.pth")}
    changed = recipe.model_copy(update={"base": recipe.base.model_copy(update=changes)})
    report = pipeline.train_base(changed, run)
    assert report.tables[0].title == "base.init: model.pth, Detectron2's names"
    assert (run.path / "base" / "init.md").is_file()
    said = " ".join(capfd.readouterr().err.split())
    assert "base.init: class head: 0 of 5 tensors (new: class projector" in said
    assert "warning: The file does not name the 40 classes" in said
    trained, _ = load_tensors(run.base_file, "base model", "")
    # two small steps from the file's weights
    started = state["sem_seg_head.pixel_decoder.mask_features.weight"]
    assert (trained["panoptic_head.pixel_decoder.mask_feature.weight"] - started).abs().max() < 0.01
    assert not is_done(recipe, run, "base")  # the file is part of the key
    assert is_done(changed, run, "base")
