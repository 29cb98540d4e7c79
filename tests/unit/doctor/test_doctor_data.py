"""Folders, annotation files and label maps: complete, incomplete, damaged, or the wrong ones."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from panoptic_files import panoptic_json, striped, write_panoptic_set
from PIL import Image

from scaseg_cli.doctor import coco
from scaseg_cli.doctor.annotation_scan import scan_annotations
from scaseg_cli.doctor.data import data_findings, num_training_images, split_findings
from scaseg_cli.doctor.finding import Finding
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

RUN = RunDir(Path("runs/x"))
URL = "http://images.cocodataset.org"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _own(name: str = "coco-zps", *changes: str) -> Any:
    """A recipe of the user's data in ``mine``."""
    sets = [f"data.{part}.images={part}" for part in ("train", "validation")]
    if name == "coco-zps":
        sets += [f"data.{part}.{key}=annotations/{part}{end}" for part in ("train", "validation")
                 for key, end in (("annotations", ".json"), ("labels", ""))]  # fmt: skip
    else:
        sets += [f"data.{part}.labels=maps/{part}" for part in ("train", "validation")]
    return load_recipe(name, ("data.root=mine", *sets, *changes))


def _write_own() -> None:
    for part in ("train", "validation"):
        write_panoptic_set(Path("mine"), part, [striped(1, 1, 100), striped(2, 3)])


def _rows(recipe: Any) -> dict[str, Finding]:
    return {finding.what: finding for finding in data_findings(recipe, RUN)}


def _states(recipe: Any) -> list[str]:
    return [finding.state for finding in data_findings(recipe, RUN)]


def test_the_embedded_world_is_drawn() -> None:
    (finding,) = data_findings(load_recipe("shapes-zps"), RUN)
    assert finding.state == "ready"
    assert "runs/x/data" in finding.found


def test_nothing_of_coco_says_what_to_fetch_and_where_to_unzip_it() -> None:
    rows = _rows(load_recipe("coco-zps"))
    assert list(rows) == [f"{part} {what}" for part in ("train", "validation")
                          for what in ("images", "annotations", "labels")]  # fmt: skip
    assert {finding.state for finding in rows.values()} == {"missing"}
    assert rows["train images"].found == "coco/train2017 does not exist"
    assert rows["train images"].mend == (
        f"wget -c -P coco {URL}/zips/train2017.zip && unzip -q -n coco/train2017.zip -d coco  # 18 GB"
    )
    archive = "panoptic_annotations_trainval2017.zip"
    assert rows["validation annotations"].mend == (
        f"wget -c -P coco {URL}/annotations/{archive} && unzip -q -n coco/{archive} -d coco"
    )
    assert rows["validation labels"].mend == (
        f"unzip -q -n coco/annotations/panoptic_val2017.zip -d coco/annotations  # which comes with {archive}"
    )


def test_nothing_of_coco_stuff_says_what_to_fetch_and_where_to_unzip_it() -> None:
    rows = _rows(load_recipe("coco-zss"))
    assert list(rows) == ["train images", "train labels", "validation images", "validation labels"]
    assert {finding.state for finding in rows.values()} == {"missing"}
    mend = rows["validation labels"].mend or ""
    assert mend.startswith("wget -c -P coco http://calvin.inf.ed.ac.uk/")
    assert (
        "/stuffthingmaps_trainval2017.zip && unzip -q -n coco/stuffthingmaps_trainval2017.zip -d coco/stuffthingmaps"
        in mend
    )


def test_an_archive_that_is_here_is_only_unzipped() -> None:
    Path("coco/annotations").mkdir(parents=True)
    for name in ("val2017.zip", "panoptic_annotations_trainval2017.zip", "annotations/panoptic_val2017.zip"):
        (Path("coco") / name).write_bytes(b"PK")
    rows = _rows(load_recipe("coco-zps"))
    assert rows["validation images"].mend == "unzip -q -n coco/val2017.zip -d coco"
    assert rows["validation annotations"].mend == "unzip -q -n coco/panoptic_annotations_trainval2017.zip -d coco"
    assert rows["validation labels"].mend == "unzip -q -n coco/annotations/panoptic_val2017.zip -d coco/annotations"


def test_the_inner_archive_is_fetched_again_where_only_the_annotations_are_here() -> None:
    Path("coco/annotations").mkdir(parents=True)
    Path("coco/annotations/panoptic_val2017.json").write_text("{}")
    fetch, unzip = (_rows(load_recipe("coco-zps"))["validation labels"].mend or "").splitlines()
    assert fetch.startswith("wget -c -P coco ")
    assert unzip == "unzip -q -n coco/annotations/panoptic_val2017.zip -d coco/annotations"


def test_paths_with_spaces_can_be_typed() -> None:
    rows = _rows(load_recipe("coco-zps", ("data.root=my data",)))
    assert "-P 'my data' " in (rows["train images"].mend or "")
    assert "unzip -q -n 'my data/train2017.zip' -d 'my data'" in (rows["train images"].mend or "")


def test_own_data_is_counted_against_its_own_annotations() -> None:
    _write_own()
    assert _states(_own()) == ["ready"] * 6
    rows = _rows(_own())
    assert rows["train annotations"].found == "mine/annotations/train.json: 2 images, 5 categories"
    assert rows["train images"].found == "mine/train: 2 files"
    Path("mine/train/000000000001.jpg").unlink()
    Path("mine/annotations/validation/000000000002.png").rename("mine/annotations/validation/2.txt")
    rows = _rows(_own())
    assert rows["train images"].found == "mine/train: 1 of 2 files"
    assert rows["train images"].mend == "Put the files there, or set data.root or data.train.images to their folder."
    assert rows["validation labels"].found == "mine/annotations/validation: 1 of 2 files"


def test_published_counts_hold_before_the_annotations_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(coco._COUNTS, "val2017", 3)
    Path("coco/val2017").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", ".hidden"):
        (Path("coco/val2017") / name).touch()
    assert _rows(load_recipe("coco-zps"))["validation images"].found == "coco/val2017: 2 of 3 files"
    Path("coco/val2017/c.jpg").touch()
    assert _rows(load_recipe("coco-zps"))["validation images"].state == "ready"


def test_annotations_that_bear_coco_s_name_and_are_not_coco_s() -> None:
    where = write_panoptic_set(Path("coco"), "x", [striped(1, 1)])
    Path("coco/annotations/x.json").rename("coco/annotations/panoptic_val2017.json")
    Path("coco/x").rename("coco/val2017")
    Path("coco/annotations/x").rename("coco/annotations/panoptic_val2017")
    rows = _rows(load_recipe("coco-zps"))
    assert where.annotations == "annotations/x.json"
    assert rows["validation annotations"].state == "warning"
    assert "COCO's original has 5,000 images and 133 categories" in rows["validation annotations"].found
    assert rows["validation images"].state == rows["validation labels"].state == "ready"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not JSON"),
        (b'{"images": [{"file_name": "a', "is truncated"),
        (json.dumps({"images": [], "annotations": [{"segmentation": []}]}).encode(), "has no panoptic annotations"),
        (b"\x00" * 1000, "is not JSON"),
    ],
)
def test_a_damaged_annotation_file_is_a_row(content: bytes, problem: str) -> None:
    _write_own()
    Path("mine/annotations/train.json").write_bytes(content)
    finding = _rows(_own())["train annotations"]
    assert finding.state == "missing"
    assert f"mine/annotations/train.json {problem}" in finding.found
    assert finding.mend is not None
    assert finding.mend.startswith("Delete it, then ")
    assert split_findings(_own(), RUN)[0].state == "ready"
    assert num_training_images(_own(), RUN) in (0, 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_row() -> None:
    _write_own()
    Path("mine/annotations/train.json").chmod(0)
    Path("mine/train").chmod(0)
    try:
        rows = _rows(_own())
        assert "cannot be read: Permission denied" in rows["train annotations"].found
        assert "cannot be read: Permission denied" in rows["train images"].found
    finally:
        Path("mine/train").chmod(0o700)


def test_a_file_in_a_folders_place_and_a_folder_in_a_files() -> None:
    _write_own()
    Path("mine/annotations/train.json").unlink()
    Path("mine/annotations/train.json").mkdir()
    for path in Path("mine/validation").iterdir():
        path.unlink()
    Path("mine/validation").rmdir()
    Path("mine/validation").write_text("no folder")
    rows = _rows(_own())
    assert rows["train annotations"].state == rows["validation images"].state == "missing"
    assert "cannot be read: Not a directory" in rows["validation images"].found


def test_a_glance_agrees_with_reading(tmp_path: Path) -> None:
    content = panoptic_json([striped(number, 1, 187) for number in range(1, 40)])
    for indent in (None, 1):
        path = tmp_path / f"{indent}.json"
        path.write_text(json.dumps({"info": {}, **content}, indent=indent) + "\n")
        seen = scan_annotations(path)
        assert (seen.annotations, seen.problem) == (39, None)
        assert seen.category_names == ("cat", "dog", "cow", "grass", "sky")


def test_a_glance_sees_that_a_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(panoptic_json([striped(1, 1)])))
    assert scan_annotations(path).annotations == 1
    path.write_text(json.dumps(panoptic_json([striped(1, 1), striped(2, 1)])))
    assert scan_annotations(path).annotations == 2


def _write_maps(part: str, names: tuple[str, ...], suffix: str = "") -> None:
    for folder in (Path("mine") / part, Path("mine/maps") / part):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(Path("mine") / part / f"{name}.jpg")
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(Path("mine/maps") / part / f"{name}{suffix}.png")


def test_label_maps_of_either_kind_are_paired_with_their_images() -> None:
    _write_maps("train", ("a", "b"))
    _write_maps("validation", ("c",), "_labelTrainIds")
    rows = _rows(_own("coco-zss"))
    assert {finding.state for finding in rows.values()} == {"ready"}
    assert rows["train labels"].found == "mine/maps/train: 2 label maps, NAME.png"
    assert rows["validation labels"].found == "mine/maps/validation: 1 label maps, NAME_labelTrainIds.png"
    assert num_training_images(_own("coco-zss"), RUN) == 2
    Path("mine/maps/train/b.png").rename("mine/maps/train/d.png")
    rows = _rows(_own("coco-zss"))
    assert [finding.state for finding in rows.values()] == ["ready", "warning", "ready", "ready"]
    assert rows["train labels"].found.endswith("1 label maps, NAME.png; 1 of 2 images have none")
    Path("mine/maps/train/a.png").rename("mine/maps/train/e.png")
    assert _rows(_own("coco-zss"))["train labels"].state == "missing"


def test_empty_folders_are_missing() -> None:
    _write_maps("train", ())
    rows = _rows(_own("coco-zss"))
    assert (rows["train labels"].state, rows["train labels"].found) == ("missing", "mine/maps/train is empty")


def test_unseen_names_are_compared_with_the_classes_where_these_are_known() -> None:
    assert split_findings(load_recipe("coco-zss"), RUN)[0].found == "15 of 171 classes"
    assert split_findings(load_recipe("coco-zps"), RUN)[0].found.startswith("14; `scaseg split-dataset` compares")
    assert split_findings(load_recipe("shapes-zps"), RUN)[0].found.startswith("8; ")
    _write_own()
    assert split_findings(_own("coco-zps", "split.unseen=[cow, sky]"), RUN)[0].found == "2 of 5 classes"
    with pytest.raises(ScasegError, match="'cows': did you mean 'cow'"):  # which becomes the row
        split_findings(_own("coco-zps", "split.unseen=[cows]"), RUN)
    with pytest.raises(ScasegError, match="neither a known split"):
        split_findings(_own("coco-zps", "split.unseen=gone.txt"), RUN)


def test_how_many_images_there_will_be() -> None:
    assert num_training_images(load_recipe("shapes-zps"), RUN) == 2400
    assert num_training_images(load_recipe("coco-zps"), RUN) == 118_287
    assert num_training_images(load_recipe("coco-zss"), RUN) == 118_287
    assert num_training_images(_own("coco-zss"), RUN) == 0
    _write_own()
    assert num_training_images(_own(), RUN) == 2
