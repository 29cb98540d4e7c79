"""Own data in COCO's format, from two real photographs with 133 real categories to a table, one command after another.

The networks are small and all but untrained, and CLIP has random weights: what is checked is that the commands take
real data, not what they make of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from coco_photographs import FOOTBALL, RACE, images, write_images, write_panoptic
from command_line import assert_nothing_lost, contents, scaseg
from outside_data import needs_outside

pytestmark = needs_outside("coco_sample")

UNSEEN = "horse  # in the race alone\ntruck\ngravel\n"
RECIPE = """
extends: shapes-zps
name: coco-sample
description: Two photographs
threads: 1
data:
  shapes: null
  root: coco
  train: {images: train, annotations: annotations/train.json, labels: annotations/train}
  selection: {images: selection, annotations: annotations/selection.json, labels: annotations/selection}
  validation: {images: validation, annotations: annotations/validation.json, labels: annotations/validation}
split: {unseen: unseen.txt}
clip: {model: ViT-S-32-alt, checkpoint: null}   # the smallest that knows all words; shapes-clip knows its own alone
base:
  backbone: {checkpoint: null, max_pool: true}
  crop: 128
  scale: [0.8, 1.2]
  eval_size: 128
  eval_max_size: 256
  iterations: 3
  batch_size: 2
  warmup: 0
queries: {views: 2}
cat: {iterations: 4, batch_size: 16}
union: {iterations: 4, batch_size: 16, num_null: 8, pseudo_unseen: 2, candidates: 2}
evaluation: {object_threshold: 0.0, overlap_threshold: 0.5, batch_size: 2, increments: [0.0, 1.0]}
"""
SETS = {"train": [FOOTBALL], "selection": [RACE], "validation": [FOOTBALL, RACE]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    found = images()
    for name, image_ids in SETS.items():
        chosen = [found[image_id] for image_id in image_ids]
        write_images(folder / "coco" / name, chosen)
        write_panoptic(folder / "coco" / "annotations", name, chosen)
    (folder / "coco.yaml").write_text(RECIPE)
    (folder / "unseen.txt").write_text(UNSEEN)
    return folder


def _json(capfd: pytest.CaptureFixture[str], command: str, *arguments: str) -> dict[str, Any]:
    outcome = scaseg(capfd, command, "-r", "coco.yaml", "--json", *arguments)
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err
    return json.loads(outcome.out)


def test_every_command_takes_two_photographs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    split = _json(capfd, "split-dataset")
    summary = split["summary"]
    assert {key: summary[key] for key in ("num_seen", "num_unseen", "dropped")} == {
        "num_seen": 130, "num_unseen": 3, "dropped": 0
    }  # fmt: skip
    rows = {row["list"]: row for row in split["tables"][0]["rows"]}
    assert [rows[part]["images"] for part in SETS] == [1, 1, 2]
    assert [rows[part]["unseen_segments"] for part in SETS] == [0, 15, 15]  # twelve horses, two trucks, the gravel
    assert split["next_command"] == "scaseg embed-classes --recipe coco.yaml"

    embedded = _json(capfd, "embed-classes")
    assert embedded["tables"][0]["rows"][0]["num_classes"] == 133
    assert embedded["tables"][0]["rows"][0]["cosine_seen"] < 0.999  # names are told apart
    losses = _json(capfd, "train-base")["summary"]["losses"]
    assert losses["loss_cls"] > 0
    assert losses["loss_v2c"] > 0
    assert _json(capfd, "train-cat")["summary"]["generator"] == "vae"
    chosen = _json(capfd, "union-finetune")["summary"]["selection_harmonic"]
    assert set(chosen) == {"base", "method", "method_increment", "control"}

    report = _json(capfd, "evaluate")
    table = report["tables"][0]["rows"]
    assert {row["setting"] for row in table} == {"inductive", "transductive", "control"}
    measured = [row[f"{letter}{measure}"] for row in table for letter in "suh" for measure in ("pq", "sq", "rq")]
    assert all(isinstance(value, float) and 0.0 <= value <= 1.0 for value in measured)
    assert json.loads(Path("runs/coco-sample/evaluation/results.json").read_text())["rows"] == table
    per_class = json.loads(Path("runs/coco-sample/evaluation/per-class.json").read_text())["rows"]
    found = {row["class"]: row["tp"] + row["fn"] for row in per_class if row["tp"] + row["fn"]}
    # People and horses that nobody told apart (crowds) are no segments to find.
    assert found == {
        "person": 26, "sports ball": 1, "horse": 11, "truck": 2, "gravel": 1, "tree-merged": 2,
        "sky-other-merged": 2, "grass-merged": 2,
    }  # fmt: skip


def test_both_photographs_hold_unseen_classes_of_the_published_split(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    run = folder / "runs" / "coco-sample"
    before = contents(run)
    outcome = scaseg(capfd, "split-dataset", "-r", "coco.yaml", "--set", "split.unseen=coco-zps")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "split: split.unseen was unseen.txt, is coco-zps\n"
        "error: the split leaves no training image: all 1 hold segments of unseen classes; most often: "
        "grass-merged (1), sky-other-merged (1), tree-merged (1)\n"
        "Remove such classes from split.unseen, or add training images without them.\n"
    )
    assert_nothing_lost(before, run)
