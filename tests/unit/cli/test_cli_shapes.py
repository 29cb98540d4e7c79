"""`scaseg shapes make`; tests/unit/shapes tests the training of the small checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_make_writes_as_many_images_as_asked(scaseg: Call, tmp_path: Path) -> None:
    counts = ("--num-train", "3", "--num-selection", "2", "--num-validation", "1", "--image-size", "32", "--seed", "5")
    code, out, err = scaseg("shapes", "make", "world", *counts)
    assert (code, out) == (0, "")
    assert err.splitlines()[-1] == "wrote world"
    found = {
        name: len(list((tmp_path / "world" / name).glob("*.png"))) for name in ("train", "selection", "validation")
    }
    assert found == {"train": 3, "selection": 2, "validation": 1}
    content = json.loads((tmp_path / "world" / "annotations" / "panoptic_train.json").read_text())
    assert content["info"]["config"]["seed"] == 5
    assert content["images"][0]["width"] == 32


def test_make_refuses_counts_that_are_none(scaseg: Call, tmp_path: Path) -> None:
    code, out, err = scaseg("shapes", "make", "--num-train", "0")
    assert (code, out) == (2, "")
    assert "data.shapes.num_train: should be greater than 0 (it is 0)" in err
    assert list(tmp_path.iterdir()) == []


def test_make_leaves_other_data_alone(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "mine" / "train").mkdir(parents=True)
    code, _, err = scaseg("shapes", "make", "mine", "--num-train", "2")
    assert code == 2
    assert "mine already contains train/" in err


def test_make_leaves_the_world_of_a_run_alone(scaseg: Call, tmp_path: Path) -> None:
    (tmp_path / "run" / "data").mkdir(parents=True)
    (tmp_path / "run" / "recipe.yaml").write_text("task: zps\n")
    code, out, err = scaseg("shapes", "make", "run/data", "--num-train", "2")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: run/data belongs to the run in {tmp_path}/run; nothing was changed\n")
    assert list((tmp_path / "run" / "data").iterdir()) == []


def test_no_world_is_drawn_for_an_unseen_class_that_it_lacks(scaseg: Call, tmp_path: Path) -> None:
    code, out, err = scaseg("split-dataset", "-w", "run", "--set", "split.unseen=[red rnig]")
    assert (code, out) == (2, "")
    assert "'red rnig': did you mean 'red ring'" in err
    assert not (tmp_path / "run" / "data").exists()


def test_a_training_wants_one_step_at_least(scaseg: Call) -> None:
    code, _, err = scaseg("shapes", "train-clip", "--iterations", "0")
    assert code == 2
    assert "--iterations" in err


@pytest.mark.parametrize("command", ["train-clip", "train-backbone"])
def test_a_folder_in_place_of_the_file_is_refused_before_the_training(
    scaseg: Call, command: str, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    code, out, err = scaseg("shapes", command, "mine")
    assert (code, out) == (2, "")
    assert err == "error: mine is a folder\nName a file, such as mine/mine.safetensors.\n"
