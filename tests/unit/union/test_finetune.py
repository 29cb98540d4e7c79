"""Stage 3 from a run folder to the chosen projectors: files, resuming, loading, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from query_world import query_recipe, query_run, query_world

from scaseg_cli.base.projector import load_projector
from scaseg_cli.cat.train import train_generator
from scaseg_cli.checkpoints import load_tensors, save_tensors
from scaseg_cli.errors import ScasegError
from scaseg_cli.evaluation.score import Scores
from scaseg_cli.files import read_json
from scaseg_cli.results.stage_report import StageReport
from scaseg_cli.run_dir import RunDir
from scaseg_cli.stages import is_done
from scaseg_cli.union import finetune
from scaseg_cli.union.finetune import union_finetune, union_finetune_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.evaluation.candidates import Candidate
    from scaseg_cli.evaluation.scored_set import ScoredSet
    from scaseg_cli.recipe.schema import Recipe

passes: list[int] = []
TEXTS = ("own", "permuted", "random")
_OTHER = ("record.json", "tensorboard")  # which have times in them


def on_queries(scored: ScoredSet, wanted: Sequence[tuple[Recipe, Sequence[Candidate]]]) -> list[Scores]:
    """Score accuracy on fresh queries instead of panoptic quality on images."""
    assert scored.part == "selection"
    passes.append(len(wanted))
    return [Scores(query_world().summaries(candidates), {}) for _, candidates in wanted]


@pytest.fixture(autouse=True)
def _measured_on_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    passes.clear()
    monkeypatch.setattr(finetune, "score", on_queries)


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
        assert world.harmonic(classifier, figure["increment"]) == figure["harmonic"]
        _, meta = load_tensors(path, "projector", "")
        assert (meta["step"], meta["increment"]) == (figure["step"], figure["increment"])
    assert chosen["method"]["increment"] == 0.0
    assert load_tensors(run.last_projector_file, "projector", "")[1]["step"] == 60
    assert chosen["method"]["harmonic"] > chosen["base"]["harmonic"]
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


def test_an_interrupted_stage_resumes_to_identical_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, whole = _run(tmp_path / "whole")
    _, cut = _run(tmp_path / "cut")
    union_finetune(recipe, whole)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        union_finetune(recipe, cut)
    assert not is_done(recipe, cut, "union")
    assert not any(path.exists() for path in _files(cut))
    monkeypatch.undo()
    monkeypatch.setattr(finetune, "score", on_queries)
    monkeypatch.setattr("scaseg_cli.union.tuning.FineTuning.step", killed)  # both fine-tunings had finished
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


def _contents(run: RunDir) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run.path / "union").iterdir() if path.name not in _OTHER}


def test_many_runs_with_one_pass_write_what_each_would_write(tmp_path: Path) -> None:
    changes = ((), ("union.pseudo_unseen=2",), ("union.unseen_pull.beta=0", "evaluation.increments=[0.5]"))
    together = [_run(tmp_path / "together" / str(i), *own) for i, own in enumerate(changes)]
    alone = [_run(tmp_path / "alone" / str(i), *own) for i, own in enumerate(changes)]
    reports = union_finetune_all(together)
    assert passes == [3]
    for cell, (recipe, run), report in zip(together, alone, reports, strict=True):
        own = union_finetune(recipe, run)
        assert isinstance(report, StageReport)
        assert _contents(cell[1]) == _contents(run)
        assert report.summary == own.summary
        assert report.tables[0].rows == own.tables[0].rows
        assert is_done(*cell, "union")
        ours, theirs = ({**(r.record("union") or {}), "seconds": 0} for r in (cell[1], run))
        assert ours == theirs
    assert len({run.choices_file.read_bytes() for _, run in together}) == 3


def test_a_run_that_fails_stops_no_other_and_keeps_what_it_had(tmp_path: Path) -> None:
    kept = _run(tmp_path / "kept")
    union_finetune(*kept)
    before = _contents(kept[1])
    diverging = kept[0].model_copy(
        update={"union": kept[0].union.model_copy(update={"learning_rate": 1e30, "iterations": 50})}
    )
    without_generator = query_run(tmp_path / "none", kept[0])
    fine = _run(tmp_path / "fine")
    passes.clear()
    first, second, third = union_finetune_all([(kept[0], without_generator), (diverging, kept[1]), fine])
    assert isinstance(first, ScasegError)
    assert "no finished cat stage" in first.message
    assert isinstance(second, ScasegError)
    assert "the fine-tuning diverged: " in second.message
    assert isinstance(third, StageReport)
    assert passes == [1]
    assert {name: content for name, content in _contents(kept[1]).items() if "progress" not in name} == before
    assert is_done(*kept, "union")  # still the outcome of the earlier recipe
    assert is_done(*fine, "union")


def test_where_the_pass_fails_all_end_and_none_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [_run(tmp_path / "one"), _run(tmp_path / "two", "union.pseudo_unseen=2")]

    def broken(*_: object) -> None:
        raise ScasegError("an image is broken")

    monkeypatch.setattr(finetune, "score", broken)
    with pytest.raises(ScasegError, match="an image is broken"):
        union_finetune_all(cells)
    assert not any(is_done(*cell, "union") for cell in cells)
    assert all(list((run.path / "union").glob("progress-*.pt")) for _, run in cells)


def test_cells_must_share_data_and_base_model(tmp_path: Path) -> None:
    one = _run(tmp_path / "one")
    other = query_recipe("cat.generator=ridge", "base.iterations=7")
    with pytest.raises(ValueError, match="differ in the base stage"):
        union_finetune_all([one, (other, RunDir(tmp_path / "two"))])
    with pytest.raises(ValueError, match="two cells have the same run folder"):
        union_finetune_all([one, (one[0], RunDir(tmp_path / "two" / ".." / "one"))])
    with pytest.raises(ValueError, match="no cell"):
        union_finetune_all([])


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


LEARNS = ("union.learning_rate=0.003", "union.iterations=60", "union.candidates=1", "union.control=false")


def _last(folder: Path, *assignments: str) -> tuple[CosineClassifier, RunDir]:
    recipe, run = _run(folder, *LEARNS, *assignments)
    union_finetune(recipe, run)
    return load_projector(recipe, run, run.last_projector_file), run


def test_random_codes_are_the_same_in_training_and_in_every_load(tmp_path: Path) -> None:
    world, num_seen = query_world(), query_world().num_seen
    coded, run = _last(tmp_path, "union.unseen_codes=random")
    text = world.classifier.embeddings
    assert torch.equal(coded.embeddings[:num_seen], text[:num_seen])
    assert torch.allclose(coded.embeddings[num_seen:].norm(dim=1), torch.ones(len(text) - num_seen))
    assert (coded.embeddings[num_seen:] * text[num_seen:]).sum(1).abs().max() < 0.9
    figure = read_json(run.choices_file, "choices")["chosen"]["method"]
    assert world.harmonic(coded, 0.0) == figure["harmonic"]
    base = next(one for one in read_json(run.choices_file, "choices")["figures"] if one["model"] == "base")
    assert base["harmonic"] == world.harmonic(world.classifier, base["increment"])


def test_unseen_classes_collapse_if_the_generator_reads_other_names(tmp_path: Path) -> None:
    world = query_world()
    found = {text: world.harmonic(_last(tmp_path / text, f"union.unseen_text={text}")[0], 0.0) for text in TEXTS}
    assert found["own"] > 0.3
    assert found["permuted"] < 0.5 * found["own"]
    assert found["random"] < 0.7 * found["own"]


def test_a_fresh_projector_is_another_one_for_each_seed(tmp_path: Path) -> None:
    start = ("union.projector=fresh", "union.learning_rate=1e-30")
    one, two, other = (
        _last(tmp_path / name, *start, f"seed={seed}")[0] for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    weights = [classifier.projector.state_dict()["0.weight"] for classifier in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], query_world().classifier.projector.state_dict()["0.weight"])
