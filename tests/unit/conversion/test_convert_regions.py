"""`scaseg convert regions`: pixels and ids, resuming, what a recipe of task zps then reads, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import contents, scaseg
from semantic_files import write_classes, write_maps

from scaseg_cli.conversion import regions
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import read_label
from scaseg_cli.recipe.data_section import ImageSet

CAT, COW, GRASS, IGNORED = 0, 1, 2, 255


def pasture() -> np.ndarray:
    """Two cats, one of them in parts that touch at a corner, a cow of one pixel, grass in two parts, and void."""
    map_HW = np.full((6, 8), GRASS, np.uint8)
    map_HW[:, 5] = IGNORED
    map_HW[1:3, 0:2] = map_HW[3, 2] = map_HW[5, 4] = CAT
    map_HW[0, 7] = COW
    return map_HW


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_classes(tmp_path)
    for part in ("train", "val"):
        write_maps(tmp_path, part, {"a": pasture(), "b": np.full((4, 4), GRASS, np.uint8)})
    text = """
extends: shapes-zss
name: own
data:
  shapes: null
  selection: null
  root: ROOT
  categories: classes.json
  train: {images: train, labels: maps/train}
  validation: {images: val, labels: maps/val}
split: {unseen: [cow]}
"""
    (tmp_path / "own.yaml").write_text(text.replace("ROOT", str(tmp_path)))
    return tmp_path


def convert(capfd, data: Path, *more: str):
    return scaseg(
        capfd,
        "convert",
        "regions",
        "-r",
        str(data / "own.yaml"),
        "-w",
        str(data / "run"),
        "-o",
        str(data / "out"),
        *more,
    )


def read(data: Path):
    where = ImageSet(images="val", annotations="out/panoptic_validation.json", labels="out/panoptic_validation")
    labelled = read_panoptic_set(data, where)
    return labelled, [read_label(labelled, record) for record in labelled.images]


def test_regions_become_segments_and_stuff_stays_one(capfd, data):
    found = convert(capfd, data, "--json")
    assert found.code == 0, found.err
    parts = json.loads(found.out)
    assert [Path(part["annotations"]).name for part in parts] == ["panoptic_train.json", "panoptic_validation.json"]
    assert parts[1]["counts"] == {"images": 2, "segments": 5, "small": 0}
    labelled, (ids_HW, plain_HW) = read(data)
    first = labelled.images[0]
    classes = {segment.id: segment.category_id for segment in first.segments}
    assert sorted(classes.values()) == [CAT, CAT, COW, GRASS]
    class_HW = np.vectorize({0: IGNORED, **classes}.get)(ids_HW)
    assert (class_HW == pasture()).all()
    assert ids_HW[1, 0] == ids_HW[3, 2] != ids_HW[5, 4]  # a corner joins; the second cat is apart
    assert ids_HW[0, 0] == ids_HW[0, 6]  # grass on both sides of the void
    assert {segment.id: segment.area for segment in first.segments}[ids_HW[1, 0]] == 5
    assert (plain_HW == 1).all()
    assert [(c.name, c.isthing) for c in labelled.categories][:3] == [("cat", True), ("cow", True), ("grass", False)]
    assert labelled.categories[1].colour == (9, 8, 7)


def test_small_regions_of_things_are_void_and_things_can_be_named(capfd, data):
    found = convert(capfd, data, "--json", "--things", "cat", "--least", "2")
    assert json.loads(found.out)[1]["counts"] == {"images": 2, "segments": 4, "small": 1}
    labelled, (ids_HW, _) = read(data)
    assert ids_HW[5, 4] == 0
    assert ids_HW[0, 7] > 0  # the cow is stuff now, however small
    assert [category.name for category in labelled.categories if category.isthing] == ["cat"]


def test_a_table_says_what_goes_into_the_recipe(capfd, data):
    found = convert(capfd, data)
    assert "annotations:" in " ".join(found.out.split())


def test_an_interrupted_conversion_continues_with_the_same_bytes(capfd, data, monkeypatch):
    convert(capfd, data)
    whole = contents(data / "out")
    assert "already converted" in convert(capfd, data).err
    for path in sorted((data / "out").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    kept = regions._convert_image

    def interrupted(labelled, place, isthing, least, record):
        if record.file_name.startswith("b"):
            raise KeyboardInterrupt
        return kept(labelled, place, isthing, least, record)

    with monkeypatch.context() as patch:
        patch.setattr(regions, "_convert_image", interrupted)
        assert convert(capfd, data).code != 0
    assert not (data / "out" / "panoptic_train.json").exists()
    found = convert(capfd, data)
    assert "continuing in" in found.err
    assert contents(data / "out") == whole


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--things", "dog"), "--things names classes that the data lacks: 'dog'"),
        (("--things", ""), ""),
        (("--set", "data.categories=null", "--set", "task=zps"), ""),
    ],
)
def test_mistakes_are_one_line(capfd, data, more, said):
    found = convert(capfd, data, *more)
    assert found.code == 2
    assert said in found.err
    assert "Traceback" not in found.err
    assert not (data / "out").exists()


def test_another_conversion_is_not_continued(capfd, data):
    convert(capfd, data)
    found = convert(capfd, data, "--least", "3")
    assert found.code == 2
    assert "is not of this conversion" in found.err
