"""Semantic predictions in files: by hand, against a slow reference, and as other projects write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from prediction_files import strips, write_pairs

from scaseg_cli.errors import ScasegError
from scaseg_cli.external.evaluate_predictions import score_maps_of, score_predictions
from scaseg_cli.external.labelled_maps import MapLabels, labelled_maps
from scaseg_cli.external.score_maps import MapTask, score_maps
from scaseg_cli.external.score_options import ScoreOptions

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.external.prediction_score import PredictionScore

CLASSES = [{"id": 1, "name": "cat"}, {"id": 3, "name": "cow"}, {"id": 300, "name": "sky"}]


def write(path: Path, values: Any) -> None:
    array = np.atleast_2d(np.array(values))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8 if array.max() < 256 else np.uint16)).save(path)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two images: cats of which one pixel in four is called sky, a cow that is found, unlabelled pixels."""
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    write(tmp_path / "labels" / "a.png", [1, 1, 1, 1, 255, 255])
    write(tmp_path / "predictions" / "a.png", [1, 1, 1, 300, 3, 3])
    write(tmp_path / "labels" / "sub" / "b.png", [3, 3, 300, 300])
    write(tmp_path / "predictions" / "sub" / "b.png", [3, 3, 300, 3])
    return tmp_path


def score(folder: Path, unseen: Any = None, labels: Any = None, **options: Any) -> PredictionScore:
    of_labels = MapLabels(folder / "labels", str(folder / "classes.json"), **(labels or {}))
    return score_maps_of(folder / "predictions", of_labels, unseen, ScoreOptions(**options))


def test_hand_worked_figures(files: Path) -> None:
    found = score(files, ["cow"])
    rows = {row["class"]: row for row in found.summary.rows(found.classes.names)}
    assert [rows[name]["iou"] for name in ("cat", "cow", "sky")] == [3 / 4, 2 / 3, 1 / 3]
    assert [rows[name]["acc"] for name in ("cat", "cow", "sky")] == [3 / 4, 1, 1 / 2]
    assert rows["cow"]["predicted"] == 3  # the two on unlabelled pixels do not count
    groups = found.summary.groups
    assert groups["seen"]["iou"] == pytest.approx((3 / 4 + 1 / 3) / 2, abs=1e-15)
    assert groups["unseen"]["iou"] == 2 / 3
    assert groups["all"]["pixel_acc"] == 6 / 8
    assert groups["harmonic"]["iou"] == pytest.approx(2 * (13 / 24) * (2 / 3) / (13 / 24 + 2 / 3), abs=1e-15)


def test_a_pixel_predicted_as_no_class_is_missed(files: Path) -> None:
    write(files / "predictions" / "a.png", [1, 255, 255, 300, 3, 3])
    found = score(files)
    assert found.summary.rows(found.classes.names)[0]["iou"] == 1 / 4
    assert any("2 of 8 labelled pixels are predicted as no class" in note for note in found.notes)


@pytest.mark.parametrize("processes", [1, 2])
def test_random_maps_equal_a_slow_reference(tmp_path: Path, processes: int) -> None:
    rng = np.random.default_rng(5)
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    values = [item["id"] for item in CLASSES]
    right, union, labelled = (np.zeros(3) for _ in range(3))
    for place in range(60):
        label, guess = (rng.choice([*values, 255], (7, 9)).repeat(3, axis=1) for _ in range(2))
        guess = np.where(rng.random(guess.shape) < 0.5, label, guess)
        write(tmp_path / "labels" / f"{place}.png", label)
        write(tmp_path / "predictions" / f"{place}.png", guess)
        for n, value in enumerate(values):
            mask, theirs = label == value, (guess == value) & (label != 255)
            right[n] += (mask & theirs).sum()
            union[n] += (mask | theirs).sum()
            labelled[n] += mask.sum()
    from scaseg_cli.external.predicted_maps import open_maps

    labels = labelled_maps(MapLabels(tmp_path / "labels", str(tmp_path / "classes.json")))
    task = MapTask(labels, open_maps(tmp_path / "predictions"), {value: n for n, value in enumerate(values)})
    found = score_maps(task, processes).per_class()
    assert np.abs(found.iou - right / union).max() < 1e-15
    assert np.abs(found.acc - right / labelled).max() < 1e-15


def test_counts_are_hotcocos(files: Path) -> None:
    semantic = pytest.importorskip("hotcoco.semantic")
    rng = np.random.default_rng(8)
    (files / "classes.json").write_text(json.dumps([{"id": n, "name": str(n)} for n in range(6)]))
    for name in ("a", "sub/b"):
        for folder in ("labels", "predictions"):
            values = rng.choice([*range(6), 255] if folder == "labels" else range(6), (20, 30))
            write(files / folder / f"{name}.png", values)
    theirs = semantic.SemanticEval(6)
    for name in ("a", "sub/b"):
        theirs.update_png(files / "labels" / f"{name}.png", files / "predictions" / f"{name}.png")
    found = score(files)
    expected = np.diag(theirs.confusion()) / (
        theirs.confusion().sum(0) + theirs.confusion().sum(1) - np.diag(theirs.confusion())
    )
    assert np.abs(found.summary.per_class["iou"] - expected).max() < 1e-15


@pytest.mark.parametrize("mode", ["P", "RGB", "tif"])
def test_other_pixels_and_files_are_read(files: Path, mode: str) -> None:
    path = files / "predictions" / "sub" / "b.png"
    (files / "labels" / "sub" / "b.png").unlink()
    write(files / "labels" / "sub" / "b.png", [3, 3, 1, 1])
    write(path, [3, 3, 1, 3])
    expected = score(files).summary.groups["all"]
    if mode == "P":
        image = Image.open(path).convert("P")
        image.putdata([3, 3, 1, 3])
        image.save(path)
    elif mode == "RGB":
        Image.fromarray(np.array([[[value] * 3 for value in (3, 3, 1, 3)]], np.uint8)).save(path)
    else:
        Image.open(path).save(path.with_suffix(".tif"))
        path.unlink()
    assert score(files).summary.groups["all"] == expected


def test_names_of_cityscapes_and_flat_folders(files: Path) -> None:
    (files / "labels" / "a.png").rename(files / "labels" / "a_gtFine_labelTrainIds.png")
    (files / "labels" / "sub" / "b.png").rename(files / "labels" / "sub" / "b_gtFine_labelTrainIds.png")
    (files / "predictions" / "a.png").rename(files / "predictions" / "a_leftImg8bit.png")
    (files / "predictions" / "sub" / "b.png").rename(files / "predictions" / "b_leftImg8bit.png")  # MMSegmentation's
    assert score(files).summary.groups["all"]["pixel_acc"] == 6 / 8


def test_values_that_are_no_class(files: Path) -> None:
    write(files / "labels" / "a.png", [1, 1, 0, 0, 255, 255])
    with pytest.raises(
        ScasegError, match=r"the folder of labels .*a.png.*contains the value 0, which is no class of the list"
    ) as caught:
        score(files)
    assert "--ignored" in (caught.value.hint or "")
    assert score(files, labels={"ignored": (0,)}).summary.groups["all"]["pixel_acc"] == 5 / 6


def test_all_mistakes_are_reported_by_image(files: Path) -> None:
    write(files / "predictions" / "a.png", [1, 1, 1, 7, 9, 9])
    write(files / "predictions" / "sub" / "b.png", [3, 3])
    with pytest.raises(ScasegError) as caught:
        score(files)
    assert "image a (a.png): it contains the values 7, 9, which are no class of the labels" in caught.value.message
    assert "b.png is 2 x 1 pixels, but its label is 4 x 1" in caught.value.message
    (files / "predictions" / "sub" / "b.png").unlink()
    with pytest.raises(ScasegError, match=r"image sub/b \(sub/b.png\): it has no prediction"):
        score(files)


def test_a_value_that_the_labels_ignore_is_no_class_in_predictions_too(files: Path) -> None:
    write(files / "labels" / "a.png", [1, 1, 1, 1, 0, 255])
    write(files / "predictions" / "a.png", [1, 1, 0, 300, 0, 0])
    found = score(files, labels={"ignored": (0,)})
    assert found.summary.rows(found.classes.names)[0]["iou"] == 2 / 4
    assert any("1 of 8 labelled pixels are predicted as no class" in note for note in found.notes)


def test_run_length_codes_that_do_not_fit_name_their_file(files: Path) -> None:
    from pycocotools import mask

    code = mask.encode(np.asfortranarray(np.ones((1, 7), np.uint8)))
    code["counts"] = code["counts"].decode()
    items = [{"file_name": f"{name}.jpg", "category_id": 1, "segmentation": code} for name in "ab"]
    (files / "codes.json").write_text(json.dumps(items))
    with pytest.raises(ScasegError, match=r"the file of predictions .*codes.json has 2 mistakes") as caught:
        score(files, json_file=files / "codes.json")
    assert "the prediction of b has the size [1, 7], not [1, 4]" in caught.value.message


def test_names_that_do_not_match_are_shown(files: Path) -> None:
    for path in list((files / "predictions").rglob("*.png")):
        path.rename(path.with_name(f"pred_{path.name}"))
    with pytest.raises(ScasegError, match=r"has the name of one of the 2 labels, such as a.png") as caught:
        score(files)
    assert "pred_" in (caught.value.hint or "")


def test_a_file_is_no_folder_of_predictions(files: Path) -> None:
    with pytest.raises(ScasegError, match=r"classes.json are a file, not a folder"):
        score_maps_of(files / "classes.json", MapLabels(files / "labels", str(files / "classes.json")))


def test_a_trial_on_some_images(files: Path) -> None:
    (files / "predictions" / "sub" / "b.png").unlink()
    found = score(files, only_predicted=True)
    assert found.summary.groups["all"]["pixel_acc"] == 3 / 4
    assert found.notes[0].startswith("1 of 2 images.")


def test_detectron2_writes_run_length_codes(files: Path) -> None:
    from pycocotools import mask

    items = []
    for name in ("a", "sub/b"):
        values = np.array(Image.open(files / "predictions" / f"{name}.png"))
        for value in np.unique(values):
            code = mask.encode(np.asfortranarray(values == value, np.uint8))
            code["counts"] = code["counts"].decode()
            items.append({"file_name": f"/data/{name}.jpg", "category_id": int(value), "segmentation": code})
    expected = score(files).summary.groups["all"]
    (files / "inference").mkdir()
    (files / "inference" / "sem_seg_predictions.json").write_text(json.dumps(items))
    (files / "predictions").rename(files / "maps")
    (files / "inference").rename(files / "predictions")
    assert score(files).summary.groups["all"] == expected


def test_label_maps_are_scored_with_panoptic_labels(tmp_path: Path) -> None:
    pairs = [strips("1122..", {1: 1, 2: 100}, "......", {}), strips("3344", {3: 7, 4: 7}, "....", {})]
    write_pairs(tmp_path, pairs)
    (tmp_path / "predictions.json").unlink()
    write(tmp_path / "predictions" / "1.png", [1, 1, 100, 1, 7, 7])
    write(tmp_path / "predictions" / "2.png", [7, 7, 7, 7])  # two cows are one region
    found = score_predictions(tmp_path / "predictions", tmp_path / "labels.json", unseen=["cow"])
    groups = found.summary.groups
    assert groups["unseen"]["iou"] == 1.0
    assert groups["seen"]["iou"] == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-15)


def test_ids_of_another_list_are_told(files: Path) -> None:
    write(files / "predictions" / "a.png", [3, 3, 3, 3, 3, 3])
    write(files / "predictions" / "sub" / "b.png", [1, 1, 1, 1])
    found = score(files)
    assert any("Almost nothing matches: 0 of 8" in note for note in found.notes)
    assert any("is 3 (cow) for 1 (cat)" in note for note in found.notes)


COLOURS = {1: (128, 0, 0), 3: (0, 128, 0), 300: (0, 0, 128), 255: (9, 9, 9)}


def paint(path: Path) -> None:
    values = np.array(Image.open(path))
    pixels = np.array([[COLOURS[int(value)] for value in row] for row in values], np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("folders", [["labels"], ["labels", "predictions"]])
def test_maps_painted_in_colours(files: Path, folders: list[str]) -> None:
    """CamVid's labels, and predictions that were saved as pictures."""
    expected = score(files, ["cow"]).summary.groups
    for folder in folders:
        paint(files / folder / "a.png")
        paint(files / folder / "sub" / "b.png")
    (files / "colours.txt").write_text("128 0 0 cat\n0 128 0 cow\n0 0 128 sky\n9 9 9 Void\n")
    assert score(files, ["cow"], {"colours": files / "colours.txt"}).summary.groups == expected
    (files / "colours.txt").write_text("128 0 0 cat\n0 128 0 cow\n0 0 127 sky\n9 9 9 Void\n")
    with pytest.raises(ScasegError, match=r"b.png contains the colours \(0, 0, 128\) \(2 pixels\)") as caught:
        score(files, ["cow"], {"colours": files / "colours.txt"})
    assert "--colours" in (caught.value.hint or "")


def test_label_names_that_end_otherwise(files: Path) -> None:
    """CamVid's NAME_L.png, and Cityscapes' folder with other files beside the maps."""
    expected = score(files, ["cow"]).summary.groups
    for name in ("a", "sub/b"):
        (files / "labels" / f"{name}.png").rename(files / "labels" / f"{name}_gtFine_labelIds.png")
        write(files / "labels" / f"{name}_gtFine_color.png", [7, 7])
    (files / "predictions" / "a.png").rename(files / "predictions" / "a_leftImg8bit.png")
    assert score(files, ["cow"], {"suffix": "_gtFine_labelIds.png"}).summary.groups == expected
    with pytest.raises(ScasegError, match=r"no file whose name ends in '_L.png'") as caught:
        score(files, labels={"suffix": "_L.png"})
    assert "a_gtFine_color.png" in (caught.value.hint or "")


def test_two_labels_of_one_image(files: Path) -> None:
    write(files / "labels" / "a.tif", [1, 1, 1, 1, 1, 1])
    with pytest.raises(ScasegError, match=r"contains a.png and a.tif, which belong to one image"):
        score(files)
    assert score(files, labels={"suffix": ".png"}).summary.groups["all"]["pixel_acc"] == 6 / 8


@pytest.mark.parametrize("text", ["sub/b\n", "b\n", "b.jpg\n\n", "x/y/b.png\r\n"])
def test_a_list_names_the_images(files: Path, text: str) -> None:
    """VOC's val.txt: the folder of labels has those of the training images too."""
    (files / "predictions" / "a.png").unlink()
    (files / "val.txt").write_text(text)
    found = score(files, labels={"list": files / "val.txt"})
    assert found.summary.groups["all"]["pixel_acc"] == 3 / 4
    assert found.notes[0].startswith("1 images.")


def test_a_list_that_names_what_is_not_there(files: Path) -> None:
    (files / "val.txt").write_text("b\nc\nd\n")
    with pytest.raises(ScasegError, match=r"val.txt names images that have no label map in .*labels: c, d\n"):
        score(files, labels={"list": files / "val.txt"})
    with pytest.raises(ScasegError, match=r"gone.txt does not exist") as caught:
        score(files, labels={"list": files / "gone.txt"})
    assert "--list" in (caught.value.hint or "")


def test_what_is_missing_names_its_option(files: Path) -> None:
    with pytest.raises(ScasegError, match=r"nope.json does not exist") as caught:
        score_maps_of(files / "predictions", MapLabels(files / "labels", "nope.json"))
    assert "--categories" in (caught.value.hint or "")
    with pytest.raises(ScasegError, match=r"table of colours .* does not exist") as caught:
        score(files, labels={"colours": files / "nope.txt"})
    assert "--colours" in (caught.value.hint or "")
