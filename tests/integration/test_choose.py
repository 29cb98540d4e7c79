"""Choices without an unseen label: folds of the seen classes, and none at all."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import contents, scaseg
from damaged_world import World, check_refusal

from scaseg_cli.checkpoints import load_tensors
from scaseg_cli.data.images import read_label
from scaseg_cli.folds import train as folds_stage
from scaseg_cli.folds.division import divide
from scaseg_cli.folds.fold import fold_recipe, fold_run, split_fold
from scaseg_cli.queries.store import load_queries
from scaseg_cli.recipe import load_recipe, recipe_of
from scaseg_cli.run_dir import RunDir
from scaseg_cli.shared_stages import take_over
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set, read_image_ids
from scaseg_cli.stages import is_done
from scaseg_cli.union import finetune

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scaseg_cli.results.stage_report import StageReport

SMALL = (
    "folds.classes=2", "folds.number=2", "choose.beta=[0,0.5]", "choose.noise=[seen_covariance]",
    "choose.unseen_weight=[1.0]",
)  # fmt: skip
SET = tuple(word for change in SMALL for word in ("--set", change))
ON_NOTHING = ("--set", "evaluation.choose_on=nothing")


@pytest.fixture(scope="module")
def chosen(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run after `scaseg choose` and the run that it ends with; tests must not change it."""
    from scaseg_cli.cli.app import main

    folder = tmp_path_factory.mktemp("chosen") / "world"
    shutil.copytree(finished, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["choose", "run", *SET, "--json"]) == 0
        assert main(["run", "-r", "run/recipe.yaml", "-w", "run", "--json"]) == 0
    return folder


@pytest.fixture
def own(
    chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[World]:
    """A copy of it to change; it is the current folder."""
    folder = tmp_path / "world"
    shutil.copytree(chosen, folder, symlinks=True)
    monkeypatch.chdir(folder)
    yield World(folder, capfd)
    monkeypatch.undo()
    shutil.rmtree(folder)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def test_held_out_classes_are_absent_from_what_a_fold_trains_on(chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chosen)
    run, recipe = RunDir(chosen / "run"), recipe_of(chosen / "run")
    whole = read_classes(run)
    unseen = {item.name for item in whole.classes if not item.seen}
    trained_on = set(read_image_ids(run)["train"])
    folds = folds_stage.open_folds(recipe, run)
    assert len(folds) == 2
    held_out = [set(own.split.unseen) for own, _ in folds]
    assert not held_out[0] & held_out[1]
    for (own, fold), names in zip(folds, held_out, strict=True):
        classes, ids = read_classes(fold), read_image_ids(fold)
        assert {item.name for item in classes.classes if not item.seen} == names
        assert not unseen & set(classes.names)
        assert set(ids["train"]) | set(ids["selection"]) <= trained_on
        assert not set(ids["train"]) & set(ids["selection"])
        train = open_set(own, fold, "train")
        shown = {segment.category_id for record in train.images for segment in record.segments}
        assert not shown & classes.unseen_category_ids
        store = load_queries(own, fold)
        assert int(store.class_ids_M.max()) < classes.num_seen == len(classes) - 2
        rows, _ = load_tensors(fold.embeddings_file, "class embeddings", "")
        assert len(rows["vectors"]) == len(classes)


def test_the_choice_says_what_it_is_and_the_table_what_it_was_made_on(chosen: Path) -> None:
    choice = _json(chosen / "run" / "choose" / "choice.json")
    means = [one for one in choice["figures"] if one["model"] == "method" and one["increment"] == 0.0]
    assert {one["beta"] for one in means} == {0.0, 0.5}
    best = max(means, key=lambda one: one["harmonic"])
    assert best["harmonic"] == pytest.approx(np.mean(best["by_fold"]))
    assert choice["chosen"]["values"]["noise"] == "seen_covariance"
    for one in choice["figures"]:
        assert one["harmonic"] <= max(best["harmonic"], 1.0)
    results = _json(chosen / "run" / "evaluation" / "results.json")
    assert {row["chosen_on"] for row in results["rows"]} == {None, "seen_folds"}
    assert "folds of the seen classes" in results["notes"][0]
    choices = _json(chosen / "run" / "union" / "choices.json")
    assert choices["chosen_on"] == "seen_folds"
    assert choices["chosen"]["method"]["step"] == choice["chosen"]["method"]["step"]
    assert choices["figures"] == []


def test_the_generator_has_the_noise_that_was_chosen(chosen: Path) -> None:
    tensors, _ = load_tensors(chosen / "run" / "cat" / "generator.safetensors", "generator", "")
    assert "noise_factor" in tensors


def test_a_second_run_finds_all_of_it_up_to_date(own: World) -> None:
    outcome = scaseg(own.capfd, "run", "-r", "run/recipe.yaml", "-w", "run", "--json")
    assert outcome.code == 0, outcome.err
    assert not any(stage["ran"] for stage in json.loads(outcome.out)["stages"])
    outcome = scaseg(own.capfd, "status", "-w", "run", "--json")
    states = {row["stage"]: row["state"] for row in json.loads(outcome.out)["rows"]}
    assert states["folds"] == states["choose"] == "done"
    assert scaseg(own.capfd, "report", "run", "--images", "0").code == 0


def test_another_run_folder_shares_folds_and_choice(own: World) -> None:
    run, recipe, other = RunDir(own.folder / "run"), recipe_of(own.folder / "run"), RunDir(own.folder / "other")
    assert {"folds", "choose", "union"} <= set(take_over(recipe, other, [run]))
    for fold_recipe_, fold in folds_stage.open_folds(recipe, other):
        assert len(load_queries(fold_recipe_, fold).matched_MD)
        assert open_set(fold_recipe_, fold, "selection").images
    assert is_done(recipe, other, "evaluation")


def test_an_ablation_takes_over_the_folds_and_chooses_for_its_own_rows(own: World) -> None:
    (own.folder / "mine.yaml").write_text(
        "title: Mine\nvaries: [union.pseudo_unseen]\nvalues: [2]\nsettings: [transductive]\n"
    )
    outcome = scaseg(own.capfd, "ablate", "mine.yaml", "-r", "run/recipe.yaml", "-w", "run", "--json")
    assert outcome.code == 0, outcome.err
    stages = own.folder / "run" / "ablations" / "stages"
    shared = {path.parent.name.split("-")[0]: path for path in stages.glob("*/shared.json")}
    assert {"folds", "base"} <= set(shared)
    assert len(list(stages.glob("folds-*"))) == 1
    chosen = [path for path in stages.glob("choose-*") if not (path / "shared.json").exists()]
    assert len(chosen) == 1
    assert _json(chosen[0] / "choose" / "choice.json")["chosen"]["values"]["noise"] == "seen_covariance"


def _forget_unseen(world: World) -> None:
    """Take the segments of unseen classes out of the selection images' annotations."""
    unseen = read_classes(RunDir(world.folder / "run")).unseen_category_ids

    def change(content: dict[str, Any]) -> None:
        for image in content["annotations"]:
            kept = [segment for segment in image["segments_info"] if segment["category_id"] not in unseen]
            image["segments_info"] = kept

    world.edit("selection", change)


@pytest.mark.parametrize("way", ["seen_folds", "nothing"])
def test_no_unseen_label_is_read_where_none_may_be(own: World, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = ("-r", "run/recipe.yaml") if way == "seen_folds" else ("-r", "tiny.yaml", *ON_NOTHING)
    arguments = ("union-finetune", *recipe, "-w", "run")
    if way == "nothing":
        assert scaseg(own.capfd, "train-cat", *recipe, "-w", "run").code == 0
    assert scaseg(own.capfd, *arguments).code == 0
    before = contents(own.folder / "run" / "union")
    _forget_unseen(own)
    assert scaseg(own.capfd, "split-dataset", *recipe, "-w", "run").code == 0
    shutil.rmtree(own.folder / "run" / "union")

    def never(*_: object) -> None:
        raise AssertionError("the selection images were scored")

    monkeypatch.setattr(finetune, "score", never)
    assert scaseg(own.capfd, *arguments).code == 0
    after = contents(own.folder / "run" / "union")
    same = ("best.safetensors", "last.safetensors", "best_increment.safetensors", "control.safetensors", "choices.json")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_with_labels_the_same_selection_images_are_refused(own: World) -> None:
    _forget_unseen(own)
    recipe = ("-r", "tiny.yaml", "-w", "run")
    for command in ("split-dataset", "train-cat"):
        assert scaseg(own.capfd, command, *recipe).code == 0
    check_refusal(scaseg(own.capfd, "union-finetune", *recipe), ("do not hold both seen and unseen classes",))


def test_nothing_takes_the_last_snapshot_and_the_published_increments(own: World) -> None:
    outcome = scaseg(own.capfd, "run", "-r", "tiny.yaml", "-w", "run", *ON_NOTHING, "--json")
    assert outcome.code == 0, outcome.err
    rows = {row["model"]: row for row in json.loads(outcome.out)["tables"][0]["rows"]}
    assert rows["base, published increment"]["increment"] == 1.0
    assert rows["last snapshot, fixed"]["increment"] == 0.0
    assert rows["last snapshot, fixed"]["chosen_on"] == "nothing"
    assert rows["last snapshot, fixed"]["hpq"] == rows["last snapshot"]["hpq"]


def test_an_interrupted_choice_resumes(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("choose", "run", "--seed", "1")
    assert scaseg(own.capfd, "run", "-r", "tiny.yaml", "-w", "run", "--seed", "1").code == 0
    trained, steps = [], dict(folds_stage._STEPS)

    def train(recipe: Any, fold: RunDir) -> StageReport:
        trained.append(fold.path.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return steps["base"](recipe, fold)

    monkeypatch.setitem(folds_stage._STEPS, "base", train)
    assert scaseg(own.capfd, *arguments, *SET).code == 130
    kept = list((own.folder / "run" / "kept" / "folds").glob("*/fold-*/base/record.json"))
    assert len(kept) == 1  # the folds of seed 0 are back, and what seed 1 has finished is kept
    monkeypatch.setitem(folds_stage._STEPS, "base", lambda *given: trained.append("again") or steps["base"](*given))
    outcome = scaseg(own.capfd, *arguments, *SET)
    assert outcome.code == 0, outcome.err
    assert trained == ["fold-0", "fold-1", "again"]
    assert "fold 1 of 2, base: up to date" in outcome.err


def test_the_cost_is_said_before_anything_runs(own: World) -> None:
    outcome = scaseg(own.capfd, "choose", "run", "--set", "folds.number=3", "--dry-run", "--json")
    cost = json.loads(outcome.out)["cost"]
    assert (cost["bases"], cost["fine_tunings"]) == (3, 6)
    records = {stage: _json(own.folder / "run" / stage / "record.json")["seconds"] for stage in ("base", "queries")}
    assert cost["folds"] == pytest.approx(3 * sum(records.values()))
    outcome = scaseg(own.capfd, "run", "-r", "run/recipe.yaml", "-w", "run", "--set", "folds.number=3", "--dry-run")
    assert "3 base trainings" in outcome.out
    outcome = scaseg(own.capfd, "doctor", "-r", "run/recipe.yaml", "-w", "run", "--set", "folds.number=3", "--json")
    assert "3 base trainings" in next(row for row in json.loads(outcome.out)["rows"] if row["what"] == "folds")["found"]


def test_unseen_classes_of_label_maps_are_ignored_in_folds(semantic_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(semantic_run / "run", folder)
    run, recipe = RunDir(folder), recipe_of(folder)
    classes, train = read_classes(run), open_set(recipe, run, "train")
    division = divide(recipe.folds.model_copy(update={"classes": 2, "number": 1}), classes, train)
    own = fold_recipe(recipe, division.held_out[0])
    fold = fold_run(own, run, 0)
    split_fold(own, fold, train, classes, division, "digest")
    fold_classes = read_classes(fold)
    unseen = {item.name for item in classes.classes if not item.seen}
    assert set(fold_classes.names) == set(classes.names) - unseen
    hidden, ids = 0, read_image_ids(fold)
    assert not set(ids["train"]) & set(ids["selection"])
    for part in ("train", "selection"):
        there = open_set(own, fold, part)
        before = train.only([record.image_id for record in there.images])
        for one, other in zip(there.images, before.images, strict=True):
            now, then = read_label(there, one), read_label(before, other)
            is_unseen = np.isin(then, [category_id + 1 for category_id in classes.unseen_category_ids])
            assert (now[is_unseen] == 0).all()
            assert (now[~is_unseen] == then[~is_unseen]).all()
            fold_classes.arrays_of(one.segments)  # every class is known
            hidden += int(is_unseen.sum())
    assert hidden > 0


def test_shipped_coco_recipes_choose_nothing_on_folds() -> None:
    assert not load_recipe("coco-zps").needs_folds
    assert not load_recipe("coco-zss").needs_folds
