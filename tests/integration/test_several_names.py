"""Classes of several names, as ADE20K and LVIS have them, from the split to predictions; the best name counts."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest
import torch
from command_line import scaseg
from outside_data import needs_outside, outside

from scaseg_cli.base.classifier import load_classifier
from scaseg_cli.clip import load_clip
from scaseg_cli.embeddings.encode import encode_classes
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes

if TYPE_CHECKING:
    from pathlib import Path

PERSON, ANIMAL = (
    "person, individual, someone, somebody, mortal, soul",
    "animal, animate being, beast, brute, creature, fauna",
)
CHANGES = (
    "embeddings.synonyms=max",
    "threads=1",
    "base.iterations=2",
    "split.unseen=[beast]",
    "evaluation.setting=inductive",
)


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(outside("cases") / "cases.tar.gz") as archive:
        names = [item for item in archive.getmembers() if item.name.startswith("panoptic/synonyms")]
        archive.extractall(tmp_path, names, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_outside("cases/cases.tar.gz")
def test_one_class_has_several_names(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(command: str, *more: str) -> dict:
        changes = [word for change in CHANGES for word in ("--set", change)]
        outcome = scaseg(capfd, command, *more, "-r", "panoptic/synonyms/case.yaml", "-w", "run", *changes, "--json")
        assert outcome.code == 0, outcome.err
        return json.loads(outcome.out)

    run("split-dataset")
    classes = read_classes(RunDir(case / "run"))
    assert [item.name for item in classes.classes if not item.seen] == [ANIMAL]  # "beast" means it
    (table, _) = run("embed-classes")["tables"]
    assert any("Classes with several names: 3, with 20 names in all" in note for note in table["notes"])
    for command in ("train-base", "evaluate"):
        last = run(command)
    assert last["tables"]
    recipe = load_recipe("panoptic/synonyms/case.yaml", CHANGES)
    classifier = load_classifier(recipe, RunDir(case / "run"))
    expected = encode_classes(load_clip(recipe.clip), classes.names, ("a photo of a {}.",), 256)
    assert expected.counts[:1] == (6,)
    assert torch.equal(classifier.names, expected.vectors_MC)
    assert torch.equal(classifier.embeddings, expected.means())
    found = run(
        "predict", "panoptic/synonyms/val/001001.png", "--classes", 'soul, auto|zeppelin; "grass"', "-o", "found"
    )
    numbers = {item["name"]: (item["id"], item["seen"]) for item in found["categories"]}
    assert numbers["soul"] == (1, True)  # the run's person
    assert numbers["auto, zeppelin"] == (150, False)  # a class of its own, after the data's last id
    assert numbers["grass"] == (100, True)
