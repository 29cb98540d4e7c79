"""A packed model predicts as its run does, without the run folder, the data, or a network."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from command_line import scaseg
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_runs import write_recipe

import scaseg_cli

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_runs import TinyRun


@pytest.fixture
def packed(
    tiny_run: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Path:
    """The folder of a packed model, with what its run predicted; the run itself is gone."""
    made, here = tmp_path / "made", tmp_path / "here"
    made.mkdir()
    here.mkdir()
    write_recipe(made)
    shutil.copytree(tiny_run.run, made / "runs" / "tiny")
    for place, image in enumerate(sorted((tiny_run.run / "data" / "validation").iterdir())[:3]):
        shutil.copy(image, here / f"{place}.png")
    monkeypatch.chdir(made)
    outcome = scaseg(capfd, "pack", "runs/tiny", "-o", str(here / "tiny.safetensors"), "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["settings"] == ["inductive", "transductive"]
    images = [str(here / f"{place}.png") for place in range(3)]
    for name, more in WAYS.items():
        done = scaseg(capfd, "predict", "-w", "runs/tiny", *images, "-o", str(tmp_path / "wanted" / name), *more)
        assert done.code == 0, done.err
    monkeypatch.chdir(here)
    shutil.rmtree(made)
    return here


WAYS = {"own": (), "named": ("--classes", "red ring, zebra; grass", "--setting", "inductive")}


def test_it_predicts_the_same_without_run_folder_or_data(packed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, more in WAYS.items():
        done = scaseg(capfd, "predict", "-m", "tiny.safetensors", *[f"{n}.png" for n in range(3)], "-o", name, *more)
        assert done.code == 0, done.err
        wanted = packed.parent / "wanted" / name
        for path in sorted(wanted.rglob("*.png")):
            assert (packed / name / path.name).read_bytes() == path.read_bytes()
        documents = [json.loads((folder / "predictions.json").read_text()) for folder in (wanted, packed / name)]
        assert documents[0]["annotations"] == documents[1]["annotations"]
    model = scaseg_cli.load("tiny.safetensors")
    assert (model.setting, model.task, len(model.classes)) == ("transductive", "zps", 40)
    found = model.segment("0.png")
    with Image.open(packed.parent / "wanted" / "own" / "0.png") as image:
        own = np.asarray(image.convert("RGB"), np.int32) @ [1, 256, 65536]
    assert np.array_equal(found.ids, own)


def test_its_header_says_what_it_is(packed: Path) -> None:
    with safe_open(packed / "tiny.safetensors", "pt") as file:
        header = json.loads(file.metadata()["scaseg"])
    assert (header["kind"], header["version"]) == ("packed model", 1)
    assert "name: tiny" in header["recipe"]
    assert "| transductive | best snapshot |" in header["card"]
    assert "Unseen: red ring" in header["card"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("weights", "is damaged: its weights are not those that were packed"),
        ("version", "is a packed model of version 2; this scaseg reads version 1"),
        ("kind", "holds something else, not packed model"),
        ("cut", "is damaged or truncated"),
        ("gone", "does not exist"),
    ],
)
def test_another_file_is_refused(packed: Path, capfd: pytest.CaptureFixture[str], damage: str, says: str) -> None:
    path = packed / "tiny.safetensors"
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    if damage == "weights":
        name = next(name for name in tensors if name.endswith("projector.0.bias"))
        save_file({**tensors, name: tensors[name] + 1}, path, header)
    elif damage == "version":
        save_file(tensors, path, {"scaseg": header["scaseg"].replace('"version": 1}', '"version": 2}')})
    elif damage == "kind":
        save_file({"a": torch.zeros(1)}, path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    outcome = scaseg(capfd, "predict", "-m", "tiny.safetensors", "0.png", "-o", "out")
    assert outcome.code == 2
    assert says in outcome.err
    assert not (packed / "out").exists()


def test_a_model_is_named_once(packed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = scaseg(capfd, "predict", "-m", str(packed / "tiny.safetensors"), "-w", "run", "0.png")
    assert (outcome.code, "both say which model it is" in outcome.err) == (2, True)
