"""Stage 3 from a run folder to the chosen projectors: files, resuming, loading, mistakes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from query_world import query_recipe, query_run, query_world

from scaseg_cli.base.projector import load_projector
from scaseg_cli.cat.train import train_generator
from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.score import Candidate
from scaseg_cli.files import read_json
from scaseg_cli.recipe.schema import Recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done
from scaseg_cli.union import choose, finetune
from scaseg_cli.union.finetune import union_finetune


def on_queries(recipe: Recipe, run: RunDir, image_set: str, candidates: list[Candidate]) -> dict[str, SimpleNamespace]:
    """Accuracy on fresh queries in place of panoptic quality on images."""
    del recipe, run
    assert image_set == "selection"
    world = query_world()
    measured = {}
    for c in candidates:
        seen, unseen = world.accuracy(c.classifier, c.increment)
        measured[c.name] = SimpleNamespace(spq=seen, upq=unseen, hpq=world.harmonic(c.classifier, c.increment))
    return measured


@pytest.fixture(autouse=True)
def _measured_on_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "score", on_queries)


def _run(folder: Path, *assignments: str) -> tuple[Recipe, RunDir]:
    recipe = query_recipe("cat.generator=ridge", *assignments)
    run = query_run(folder, recipe)
    train_generator(recipe, run)
    return recipe, run


def _files(run: RunDir) -> list[Path]:
    return [run.projector_file, run.last_projector_file, run.best_increment_file, run.control_file, run.choices_file]


def test_the_chosen_projectors_are_those_of_the_choices(tmp_path: Path) -> None:
    recipe, run = _run(tmp_path, "union.learning_rate=0.003", "union.iterations=60", "union.candidates=4")
    report = union_finetune(recipe, run)
    assert is_done(recipe, run, "union")
    assert all(path.is_file() for path in _files(run))
    assert not list((run.path / "union").glob("*.pt"))
    chosen = read_json(run.choices_file, "choices")["chosen"]
    world = query_world()
    places = {"method": run.projector_file, "method_increment": run.best_increment_file, "control": run.control_file}
    for name, path in places.items():
        figure = chosen[name]
        classifier = load_projector(recipe, run, path)
        assert world.harmonic(classifier, figure["increment"]) == figure["hpq"]
        _, meta = load_tensors(path, "projector", "")
        assert (meta["step"], meta["increment"]) == (figure["step"], figure["increment"])
    assert chosen["method"]["increment"] == 0.0
    assert load_tensors(run.last_projector_file, "projector", "")[1]["step"] == 60
    assert chosen["method"]["hpq"] > chosen["base"]["hpq"]
    assert report.next_command == "scaseg evaluate"
    assert report.wrote == [run.projector_file, run.last_projector_file, run.best_increment_file, run.choices_file,
                            run.control_file]  # fmt: skip


def test_the_table_shows_every_snapshot_and_marks_what_was_chosen(tmp_path: Path) -> None:
    recipe, run = _run(tmp_path)
    table = union_finetune(recipe, run).tables[0]
    assert {(row["model"], row["step"]) for row in table.rows if row["increment"] == 0.0} == {
        ("base", 0), ("method", 10), ("method", 20), ("control", 10), ("control", 20)
    }  # fmt: skip
    marks = ", ".join(row["chosen"] for row in table.rows if row["chosen"])
    assert sorted(marks.split(", ")) == ["base", "best", "best with increment", "control"]
    assert "report validation figures" in table.notes[0]


def test_a_cut_stage_goes_on_to_the_very_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, whole = _run(tmp_path / "whole")
    _, cut = _run(tmp_path / "cut")
    union_finetune(recipe, whole)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "score_snapshots", killed)
    with pytest.raises(KeyboardInterrupt):
        union_finetune(recipe, cut)
    assert not is_done(recipe, cut, "union")
    assert not any(path.exists() for path in _files(cut))
    monkeypatch.undo()
    monkeypatch.setattr(choose, "score", on_queries)
    monkeypatch.setattr("scaseg_cli.union.tuning.FineTuning.step", killed)  # both had finished
    union_finetune(recipe, cut)
    for ours, theirs in zip(_files(cut), _files(whole), strict=True):
        assert ours.read_bytes() == theirs.read_bytes(), ours.name


def test_without_a_control_there_is_no_control_file(tmp_path: Path) -> None:
    recipe, run = _run(tmp_path, "union.control=false")
    union_finetune(recipe, run)
    assert not run.control_file.exists()
    assert read_json(run.choices_file, "choices")["chosen"]["control"] is None


def test_without_a_generator_the_hint_says_what_to_set(tmp_path: Path) -> None:
    recipe = query_recipe("cat.generator=none")
    run = query_run(tmp_path, recipe)
    train_generator(recipe, run)
    with pytest.raises(ScasegError, match="generator: none"):
        union_finetune(recipe, run)
    nothing = query_recipe("cat.generator=none", "union.pseudo_unseen=0")
    union_finetune(nothing, run)
    tensors = [load_tensors(path, "projector", "")[0] for path in (run.last_projector_file, run.control_file)]
    control_step = read_json(run.choices_file, "choices")["chosen"]["control"]["step"]
    if control_step == nothing.union.iterations:
        assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


def test_generator_must_come_first(tmp_path: Path) -> None:
    recipe = query_recipe()
    with pytest.raises(ScasegError, match="no finished cat stage") as caught:
        union_finetune(recipe, query_run(tmp_path, recipe))
    assert "train-cat" in (caught.value.hint or "")


def test_a_projector_of_other_keys_or_kind_is_refused(tmp_path: Path) -> None:
    recipe, run = _run(tmp_path)
    path = tmp_path / "odd.safetensors"
    tensors = {name: tensor for name, tensor in query_world().classifier.state_dict().items() if name != "no_object"}
    save_tensors(path, "projector", tensors)
    with pytest.raises(ScasegError, match="lacks no_object"):
        load_projector(recipe, run, path)
    with pytest.raises(ScasegError, match="not projector"):
        load_projector(recipe, run, run.generator_file)
    with pytest.raises(ScasegError, match="does not exist"):
        load_projector(recipe, run, tmp_path / "none.safetensors")
