"""The real networks of the two published recipes, two steps of each stage, on two photographs.

ResNet-50, the full-size decoder, crops of 1024 and of 512 pixels, CLIP ViT-B/16: all as published, but for random
weights, and for lengths and batches. What is checked is that each stage takes them, not what they make of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coco_photographs import FOOTBALL, RACE, images, write_images, write_label_maps, write_panoptic
from command_line import scaseg
from safetensors import safe_open

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SHORT = (
    "gpus=0", "clip.checkpoint=null", "embeddings.templates=single", "base.backbone.checkpoint=null",
    "base.iterations=2", "base.workers=0", "queries.batch_size=1",
    "cat.iterations=2", "cat.batch_size=16", "union.iterations=2", "union.candidates=1", "union.batch_size=16",
    # so large that untrained queries are taken for unseen classes, and make segments
    "evaluation.inductive_increment=30.0", "evaluation.increments=[30.0]",
)  # fmt: skip
# Both photographs hold unseen classes of the published ZPS split, so that neither could be trained on. With these the
# football can.
ZPS = (
    "base.batch_size=1", "split.unseen=[horse, truck, gravel]",
    "evaluation.object_threshold=0.0", "evaluation.overlap_threshold=0.0",
)  # fmt: skip
ZSS = ("base.batch_size=2",)
TWIN = RACE + 1  # the race once more: of two validation images one is for choices, and the other has unseen classes too
SUBSETS = {"train2017": (FOOTBALL, RACE), "val2017": (RACE, TWIN)}


@pytest.fixture
def coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder holds ``coco`` as the recipes name it, with both kinds of labels."""
    monkeypatch.chdir(tmp_path)
    root, found = tmp_path / "coco", images()
    found[TWIN] = replace(found[RACE], image_id=TWIN)
    for subset, image_ids in SUBSETS.items():
        chosen = [found[image_id] for image_id in image_ids]
        write_images(root / subset, chosen)
        write_panoptic(root / "annotations", f"panoptic_{subset}", chosen)
        write_label_maps(root / "stuffthingmaps" / subset, chosen)


def _run(capfd: pytest.CaptureFixture[str], name: str, changes: tuple[str, ...]) -> dict[str, Any]:
    arguments = [word for change in (*SHORT, *changes) for word in ("--set", change)]
    outcome = scaseg(capfd, "run", "--recipe", name, "--work-dir", "run", "--json", *arguments)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def _summary(stage: str) -> dict[str, Any]:
    return json.loads(Path(f"run/{stage}/record.json").read_text())["summary"]


def _shapes(path: str) -> dict[str, list[int]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118


def _check_stages(num_classes: int, num_unseen: int) -> None:
    """What each stage has left is what the real networks leave, and every loss is a number."""
    assert _shapes("run/embeddings/embeddings.safetensors")["vectors"] == [num_classes, 512]
    base = _shapes("run/base/base.safetensors")
    assert math.prod([2048, 512, 1, 1]) in (math.prod(shape) for name, shape in base.items() if "layer4" in name)
    assert 43e6 < sum(math.prod(shape) for shape in base.values()) < 46e6
    losses = _summary("base")["losses"]
    assert {"loss_cls", "loss_mask", "loss_dice", "loss_v2c", "d8.loss_mask"} <= set(losses)
    assert all(math.isfinite(value) for value in losses.values())
    queries = _shapes("run/queries/queries.safetensors")
    assert queries["matched"][0] >= 2
    assert (queries["matched"][1], queries["null"][1]) == (256, 256)
    assert _summary("cat")["generator"] == "vae"
    assert {row["seen"] for row in json.loads(Path("run/split/classes.json").read_text())["classes"]} == {True, False}
    assert _summary("split")["num_unseen"] == num_unseen


def _check_table(report: dict[str, Any], measures: tuple[str, ...]) -> None:
    rows = report["tables"][0]["rows"]
    assert {row["setting"] for row in rows} == {"inductive", "transductive", "control"}
    values = [row[measure] for row in rows for measure in measures]
    assert all(isinstance(value, float) and 0.0 <= value <= 1.0 for value in values)


@pytest.mark.usefixtures("coco")
def test_panoptic_at_1024_pixels(capfd: pytest.CaptureFixture[str]) -> None:
    report = _run(capfd, "coco-zps", ZPS)
    _check_stages(num_classes=133, num_unseen=3)
    assert _summary("split") | {"train": 1, "selection": 1, "validation": 1} == _summary("split")
    _check_table(report, tuple(f"{letter}{measure}" for letter in "suh" for measure in ("pq", "sq", "rq")))


@pytest.mark.usefixtures("coco")
def test_semantic_at_512_pixels(capfd: pytest.CaptureFixture[str]) -> None:
    report = _run(capfd, "coco-zss", ZSS)
    _check_stages(num_classes=171, num_unseen=15)
    assert _summary("split")["train"] == 2  # images with unseen classes stay, their unseen pixels being ignored
    _check_table(report, ("siou", "uiou", "hiou"))
