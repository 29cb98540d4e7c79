"""After a label or a list is repaired and the split has run again, only what depends on the change is out of date."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import scaseg
from PIL import Image

from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.lists import open_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from damaged_world import World

    from scaseg_cli.split.lists import Part

TRAINED = {"base", "queries", "cat", "union", "evaluation"}


def _states(capfd: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    """The stages that are out of date."""
    outcome = scaseg(capfd, "status", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["rows"]
    assert {row["state"] for row in rows} <= {"done", "stale"}
    return {row["stage"] for row in rows if row["state"] == "stale"}


def _stale_after_the_split(world: World) -> set[str]:
    assert world.scaseg("split-dataset").code == 0
    return _states(world.capfd, "-r", "tiny.yaml", "-w", "run")


def _first_annotation(content: dict[str, Any], run: RunDir, part: Part) -> dict[str, Any]:
    """An annotation whose image is in a list of the split; training leaves some images out."""
    listed = json.loads(run.images_file.read_text())[part]
    return next(item for item in content["annotations"] if item["image_id"] == listed[0])


def _cut_a_segment(path: Path) -> None:
    """Give the first segment's first pixels to no segment, as a repaired PNG might."""
    pixels = np.array(Image.open(path))
    pixels[tuple(np.argwhere(pixels.any(-1))[0])] = 0
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("part", "stale"),
    [("train", TRAINED), ("selection", {"union", "evaluation"}), ("validation", {"evaluation"})],
)
def test_a_repaired_panoptic_label(world: World, part: Part, stale: set[str]) -> None:
    """Once in the annotation file, and once in the PNG alone."""
    run = RunDir(world.folder / "run")

    def shrink(content: dict[str, Any]) -> None:
        _first_annotation(content, run, part)["segments_info"][0]["area"] -= 1

    before = (world.folder / "data/annotations" / f"panoptic_{part}.json").read_bytes()
    world.edit(part, shrink)
    assert _states(world.capfd, "-r", "tiny.yaml", "-w", "run") == {"split"}
    world.refuses("evaluate", saying=(r"run/split is out of date: .*panoptic_\w+\.json has changed since",))
    assert _stale_after_the_split(world) == stale
    (world.folder / "data/annotations" / f"panoptic_{part}.json").write_bytes(before)
    assert _stale_after_the_split(world) == set()
    labelled = open_set(load_recipe("tiny.yaml"), run, part)
    _cut_a_segment(labelled.label_path(labelled.images[0]))
    assert _stale_after_the_split(world) == stale


def test_a_repaired_validation_label_costs_one_evaluation(world: World) -> None:
    run = RunDir(world.folder / "run")
    records = {stage: run.record(stage) for stage in ("split", *TRAINED)}

    def drop(content: dict[str, Any]) -> None:
        _first_annotation(content, run, "validation")["segments_info"].pop()

    world.edit("validation", drop)
    outcome = world.scaseg("run", "--json")
    assert outcome.code == 0, outcome.err
    ran = {stage["stage"] for stage in json.loads(outcome.out)["stages"] if stage["ran"]}
    assert ran == {"split", "evaluation"}
    assert {stage for stage, record in records.items() if run.record(stage) != record} == {"split", "evaluation"}
    report = ("report", "run", "--images", "4", "-o", "report.html", "--json")
    outcome = scaseg(world.capfd, *report)
    assert json.loads(outcome.out)["runs"][0]["left_out"] == {}, outcome.err
    world.edit("validation", drop)
    assert world.scaseg("split-dataset").code == 0
    (run.survey_file).unlink()
    left_out = json.loads(scaseg(world.capfd, *report).out)["runs"][0]["left_out"]
    assert any("the validation images or their labels have changed since" in reason for reason in left_out.values())


@pytest.mark.parametrize(("part", "stale"), [("train", TRAINED), ("validation", {"evaluation"})])
def test_an_image_taken_out_of_a_list(world: World, part: Part, stale: set[str]) -> None:
    run = RunDir(world.folder / "run")

    def take_out(content: dict[str, Any]) -> None:
        content["annotations"].remove(_first_annotation(content, run, part))

    world.edit(part, take_out)
    assert _stale_after_the_split(world) == stale


@pytest.mark.parametrize("part", ["train", "validation"])
def test_another_layout_of_the_annotation_file_changes_nothing(world: World, part: str) -> None:
    path = world.folder / "data/annotations" / f"panoptic_{part}.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2))
    assert _stale_after_the_split(world) == set()


def test_a_renamed_class_and_another_recipe_change_everything(world: World) -> None:
    recipe = world.folder / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("root: data", "root: data, exif: turn"))
    assert _stale_after_the_split(world) == TRAINED
    recipe.write_text(recipe.read_text().replace(", exif: turn", ""))
    for part in ("train", "selection", "validation"):
        world.edit(part, lambda content: content["categories"][-1].update(name="blue thing"))
    assert _stale_after_the_split(world) == {"embeddings", *TRAINED}
    world.refuses("train-base", saying=("run/embeddings is out of date: the classes have changed since",))


def test_data_that_moved_changes_nothing(world: World) -> None:
    (world.folder / "data").rename(world.folder / "moved")
    recipe = world.folder / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("root: data", "root: moved"))
    assert _stale_after_the_split(world) == set()


def test_the_error_names_the_list_that_changed(world: World) -> None:
    run = RunDir(world.folder / "run")
    world.edit("train", lambda content: _first_annotation(content, run, "train")["segments_info"].pop())
    assert world.scaseg("split-dataset").code == 0
    said = "is out of date: the training images or their labels have changed since"
    world.refuses("predict", str(next((world.folder / "data").rglob("*.png"))), "-o", "found", saying=(said,))


def _swap_two_values(path: Path) -> None:
    """Two classes of a label map change places."""
    values = np.array(Image.open(path))
    one, other = np.unique(values)[:2]
    Image.fromarray(np.where(values == one, other, np.where(values == other, one, values)).astype(values.dtype)).save(
        path
    )


def _again(path: Path) -> None:
    """The same pixels in another file."""
    Image.fromarray(np.array(Image.open(path))).save(path, compress_level=0)


@pytest.mark.parametrize(
    ("part", "repair", "stale"),
    [
        ("train", _swap_two_values, {"base", "evaluation"}),
        ("validation", _swap_two_values, {"evaluation"}),
        ("train", _again, set()),
    ],
)
def test_a_repaired_label_map(
    semantic_run: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    part: Part,
    repair: Callable[[Path], None],
    stale: set[str],
) -> None:
    shutil.copytree(semantic_run / "run", tmp_path / "run")
    run, where = RunDir(tmp_path / "run"), ("-r", str(tmp_path / "run/recipe.yaml"), "-w", str(tmp_path / "run"))
    labelled = open_set(load_recipe(str(run.recipe_file)), run, part)
    before = labelled.images[0]
    repair(labelled.label_path(before))
    assert scaseg(capfd, "split-dataset", *where).code == 0
    after = open_set(load_recipe(str(run.recipe_file)), run, part).images[0]
    assert (after.label_digest == before.label_digest) == (not stale)
    assert _states(capfd, *where) == stale
