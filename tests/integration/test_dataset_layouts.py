"""The field's data sets in their own folders and formats, from `split-dataset` through two steps to `evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import dataset_layouts as layouts
import pytest
from command_line import scaseg
from dataset_layouts import HEIGHT, ROW, WIDTH
from outside_data import needs_outside, outside

from scaseg_cli.data.images import read_label
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir
from scaseg_cli.split.classes import read_classes
from scaseg_cli.split.lists import open_set

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

RECIPE = """
extends: {recipe}
name: tiny
gpus: 0
threads: 1
tensorboard: false
data: {{root: data}}
clip: {{model: shapes-clip, checkpoint: shapes-clip}}
embeddings: {{encoder: clip, templates: single}}
base:
  backbone: {{timm: null, depth: 18, width: 24, max_pool: false, checkpoint: shapes-backbone}}
  channels: 64
  num_queries: 16
  pixel_decoder_layers: 1
  decoder_layers: 1
  heads: 4
  feedforward: 64
  pixel_feedforward: 64
  num_points: 64
  v2c: {{enabled: false}}
  crop: 64
  scale: [1.0, 1.0]
  eval_size: 32
  eval_max_size: 64
  iterations: 2
  batch_size: 1
  workers: 0
  log_every: 1
evaluation: {{setting: inductive}}
"""


class Layout(NamedTuple):
    """A data set: how an image of a part is written, its parts, its classes, and the value of no class."""

    write: Callable[[Path, str, int, np.ndarray], None]
    categories: str
    nothing: int
    seen: tuple[str, str]
    unseen: str
    num_seen: int
    parts: tuple[str, str, str] = ("train", "val", "val")


LAYOUTS = {
    "voc-zss": Layout(layouts.write_voc, "voc", 255, ("cat", "person"), "sheep", 15),
    "context-zss": Layout(layouts.write_context, "pascal-context", 0, ("sky", "tree"), "bird", 49),
    "ade20k-zss": Layout(layouts.write_ade20k, "ade20k", 0, ("wall", "person"), "van", 136),
    "ade20k-zps": Layout(layouts.write_ade20k_panoptic, "ade20k", 0, ("wall", "person"), "van", 136),
    "cityscapes-zss": Layout(layouts.write_cityscapes, "cityscapes", 255, ("road", "car"), "bus", 16),
    "cityscapes-zps": Layout(layouts.write_cityscapes_panoptic, "cityscapes", 255, ("road", "car"), "bus", 16),
    "camvid-zss": Layout(layouts.write_camvid, "camvid", 11, ("sky", "road"), "bicyclist", 9, ("train", "val", "test")),
}


def _write(folder: Path, name: str) -> None:
    layout = LAYOUTS[name]
    ids = layouts.ids_of(layout.categories)
    one, other = (ids[seen] for seen in layout.seen)
    for number, part in enumerate(layout.parts, start=1):
        right = one if part == "train" else ids[layout.unseen]
        layout.write(folder / "data", part, number, layouts.drawn(one, other, right, layout.nothing))
    (folder / "tiny.yaml").write_text(RECIPE.format(recipe=name))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_data_set_as_unpacked_goes_from_the_split_to_the_table(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, name)
    for command in ("split-dataset", "embed-classes", "train-base", "evaluate"):
        outcome = scaseg(capfd, command, "-r", "tiny.yaml", "-w", "run", "--json")
        assert outcome.code == 0, outcome.err
        assert "Traceback" not in outcome.err
        if command == "split-dataset":
            _check_split(tmp_path, LAYOUTS[name])
        if command == "train-base":
            assert "next: scaseg evaluate " in outcome.err  # the inductive setting needs no generator
    rows = json.loads(outcome.out)["tables"][0]["rows"]
    assert {row["setting"] for row in rows} == {"inductive"}


def _check_split(folder: Path, layout: Layout) -> None:
    recipe, run = load_recipe(str(folder / "tiny.yaml")), RunDir(folder / "run")
    classes = read_classes(run)
    assert (classes.num_seen, len(classes) - classes.num_seen) == (
        layout.num_seen, len(layouts.ids_of(layout.categories)) - layout.num_seen,
    )  # fmt: skip
    area = WIDTH // 3 * (HEIGHT - ROW)
    names = {item.category_id: item.name.split(",")[0].strip() for item in classes.classes}
    one, other = layout.seen
    for part in ("train", "selection", "validation"):
        labelled = open_set(recipe, run, part)
        (record,) = labelled.images
        found = {names[segment.category_id]: segment.area for segment in record.segments}
        seen_alone = {one: 2 * area, other: area}
        assert found == (seen_alone if part == "train" else {one: area, other: area, layout.unseen: area})
        ids_HW = read_label(labelled, record)
        by_id = {segment.id: names[segment.category_id] for segment in record.segments} | {0: "nothing"}
        right = one if part == "train" else layout.unseen
        corners = [by_id[ids_HW[y, x]] for y, x in ((0, 0), (0, WIDTH // 2), (0, WIDTH - 1), (HEIGHT - 1, 0))]
        assert corners == [one, other, right, "nothing"]
        assert labelled.image_path(record).is_file()


@needs_outside("camvid")
def test_camvid_itself(tmp_path, capfd):
    """The real label maps: 367, 101 and 233 images; of 11 classes bicyclist and pavement are unseen."""
    run = RunDir(tmp_path / "run")
    root = f"data.root={outside('camvid')}"
    outcome = scaseg(capfd, "split-dataset", "-r", "camvid-zss", "-w", str(run.path), "--set", root, "--json")
    assert outcome.code == 0, outcome.err
    rows = json.loads(outcome.out)["tables"][0]["rows"]
    assert {row["list"]: row["images"] for row in rows} == {"train": 367, "selection": 101, "validation": 233}
    classes = read_classes(run)
    assert classes.names[9:] == ["pavement", "bicyclist"]
    assert rows[0]["dropped"] == 0
