"""Panoptic predictions as other projects write them are read as they are, and the peculiar ones are told in a note."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image
from prediction_files import CATEGORIES, change_json, segment, strip, strips, write_map, write_pairs

from scaseg_cli.errors import ScasegError
from scaseg_cli.external.evaluate_predictions import score_predictions
from scaseg_cli.external.score_options import ScoreOptions

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.external.prediction_score import PredictionScore

CAT, DOG, COW, GRASS = (item["id"] for item in CATEGORIES)
POSITIONS = {CAT: 0, DOG: 1, COW: 2, GRASS: 3}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_pairs(
        tmp_path,
        [
            strips("1111122222", {1: CAT, 2: GRASS}, "1111.22222", {1: CAT, 2: GRASS}),
            strips("77..", {7: COW}, "77..", {7: COW}),
        ],
    )
    return tmp_path


def score(folder: Path, predictions: str = "predictions", **options: Any) -> PredictionScore:
    return score_predictions(folder / predictions, folder / "labels.json", options=ScoreOptions(**options))


def pq(found: PredictionScore) -> dict[str, float]:
    rows = found.summary.rows(found.classes.names)
    return {row["class"]: round(row["pq"], 9) for row in rows if not np.isnan(row["pq"])}


RIGHT = {"cat": 0.8, "cow": 1.0, "grass": 1.0}


def rewrite(files: Path, write: Any, **segment_keys: Any) -> None:
    """Write both predicted PNGs anew with ``write(path, ids)``, and each segment with ``segment_keys`` of its own."""
    for name, ids in (("1", strip("1111.22222")), ("2", strip("77.."))):
        write(files / "predictions" / f"{name}.png", ids)

    def change(content: dict[str, Any]) -> None:
        for item in content["annotations"]:
            for one in item["segments_info"]:
                one.update({key: value(one) for key, value in segment_keys.items()})

    change_json(files / "predictions.json", change)


def test_detr_counts_ids_from_0_and_puts_its_json_into_the_folder(files: Path) -> None:
    ids = {1: 0, 2: 1, 7: 0}

    def write(path: Path, old: np.ndarray) -> None:
        # DETR has no pixel without a segment
        write_map(path, np.array([[ids.get(int(value), 1) if path.stem == "1" else 0 for value in old[0]]]))

    rewrite(
        files, write, isthing=lambda one: one["category_id"] != GRASS, area=lambda _: 4, id=lambda one: ids[one["id"]]
    )
    shutil.move(files / "predictions.json", files / "predictions" / "predictions.json")
    # 5 of 5 + the void pixel 5 of the cat goes to grass: 5 / 6; the cow has void's pixels, which are subtracted
    assert pq(score(files)) == {"cat": 0.8, "cow": 1.0, "grass": round(5 / 6, 9)}


def test_detectron2_writes_the_whole_annotation_file_elsewhere(files: Path) -> None:
    # Mask2Former, FC-CLIP and PADing use this evaluator.
    rewrite(files, write_map, isthing=lambda one: one["category_id"] != GRASS, score=lambda _: 0.9)
    predicted = json.loads((files / "predictions.json").read_text())
    whole = json.loads((files / "labels.json").read_text()) | {"annotations": predicted["annotations"]}
    (files / "predictions.json").unlink()
    (files / "inference").mkdir()
    (files / "inference" / "predictions.json").write_text(json.dumps(whole))
    with pytest.raises(ScasegError, match="have no JSON file") as caught:
        score(files)
    assert "--predictions-json FILE" in (caught.value.hint or "")
    assert pq(score(files, json_file=files / "inference" / "predictions.json")) == RIGHT


def test_mmdetection_counts_instances_in_thousands(files: Path) -> None:
    ids = {1: 0 + 1000, 2: 3, 7: 2 + 3000}

    def write(path: Path, old: np.ndarray) -> None:
        coded = np.vectorize(lambda value: ids.get(int(value), 0))(old)
        rgb = np.stack([coded & 255, coded >> 8 & 255, coded >> 16], axis=-1).astype(np.uint8)
        cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))

    rewrite(files, write, area=lambda _: 4, id=lambda one: ids[one["id"]])
    (files / "predictions").rename(files / "results.panoptic")
    (files / "predictions.json").rename(files / "results.panoptic.json")
    assert pq(score(files, "results.panoptic")) == RIGHT


def as_transformers(one: dict[str, Any]) -> int:
    return POSITIONS[one.pop("category_id")]


@pytest.mark.parametrize("first", [1, 0])
def test_transformers_label_ids_are_positions_in_the_categories(files: Path, first: int) -> None:
    # Mask2Former and OneFormer count segments from 1 with 0 for none; EoMT from 0 with -1 for none.
    ids = {1: first, 2: first + 1, 7: first}

    def write(path: Path, old: np.ndarray) -> None:
        write_map(path, np.vectorize(lambda value: ids.get(int(value), first - 1))(old))

    rewrite(files, write, id=lambda one: ids[one["id"]], was_fused=lambda _: False, label_id=as_transformers)
    found = score(files)
    assert pq(found) == RIGHT
    notes = "\n".join(found.notes)
    assert "label_id was read as the position" in notes
    assert ("2 predicted PNGs have the id 16777215, which is -1" in notes) == (first == 0)


def test_label_ids_that_may_mean_two_things_are_refused(files: Path) -> None:
    rewrite(files, write_map, label_id=lambda one: {CAT: 1, COW: 3, GRASS: 1}[one.pop("category_id")])
    with pytest.raises(ScasegError, match="it is not clear what its values mean: 1, 3") as caught:
        score(files)
    assert "categories[segment['label_id']]['id']" in (caught.value.hint or "")


def test_label_ids_of_the_data_are_category_ids(files: Path) -> None:
    rewrite(files, write_map, label_id=lambda one: one.pop("category_id"))
    found = score(files)
    assert pq(found) == RIGHT
    assert any("read as the category_id" in note for note in found.notes)


def test_opencv_swaps_red_and_blue(files: Path) -> None:
    def write(path: Path, ids: np.ndarray) -> None:
        rgb = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
        cv2.imwrite(str(path), rgb)  # which takes BGR

    rewrite(files, write)
    found = score(files)
    assert pq(found) == RIGHT
    assert any("2 predicted PNGs have R and B swapped" in note for note in found.notes)


@pytest.mark.parametrize("mode", ["P", "RGBA", "L", "I;16"])
def test_ids_may_be_stored_in_other_pixels(files: Path, mode: str) -> None:
    def write(path: Path, ids: np.ndarray) -> None:
        if mode in ("L", "I;16"):
            Image.fromarray(ids.astype(np.uint8 if mode == "L" else np.uint16)).save(path)
            return
        write_map(path, ids)
        image = Image.open(path)
        (image.quantize(8) if mode == "P" else image.convert(mode)).save(path)

    rewrite(files, write)
    assert pq(score(files)) == RIGHT


def test_ids_written_by_pandas_and_ids_as_text(files: Path) -> None:
    rewrite(files, write_map, id=lambda one: float(one["id"]), category_id=lambda one: float(one["category_id"]))
    change_json(files / "predictions.json", lambda content: content["annotations"][0].update(image_id="1"))
    change_json(files / "predictions.json", lambda content: content["annotations"][1].update(image_id=2.0))
    assert pq(score(files)) == RIGHT


def test_crowds_in_predictions_are_ignored(files: Path) -> None:
    rewrite(files, write_map, iscrowd=lambda _: 1)
    found = score(files)
    assert pq(found) == RIGHT
    assert any("3 predicted segments have iscrowd" in note for note in found.notes)


def test_classes_that_fit_another_list_are_told(files: Path) -> None:
    rewrite(files, write_map, category_id=lambda one: {CAT: DOG, COW: CAT, GRASS: COW}[one["category_id"]])
    found = score(files)
    assert any("Almost nothing matches: 0 of 3" in note for note in found.notes)
    assert any("3 segments would match a label of another class" in note for note in found.notes)


def test_contiguous_ids_that_the_annotations_lack_are_told(files: Path) -> None:
    rewrite(files, write_map, category_id=lambda one: POSITIONS[one["category_id"]])
    with pytest.raises(ScasegError, match="has category_id 0, which the annotations lack") as caught:
        score(files)
    assert "look like positions in a list of 4 classes" in (caught.value.hint or "")


def test_segments_that_fit_no_label_are_told(files: Path) -> None:
    for name, row in (("1", "11......22"), ("2", "..77")):
        write_map(files / "predictions" / f"{name}.png", strip(row))
    found = score(files)
    assert any("The segments themselves do not fit the labels" in note for note in found.notes)


def test_a_trial_on_some_images(files: Path) -> None:
    change_json(files / "predictions.json", lambda content: content["annotations"].pop())
    with pytest.raises(ScasegError, match=r"image 2 \(2.jpg\): it has no prediction"):
        score(files)
    found = score(files, only_predicted=True)
    assert pq(found) == {"cat": 0.8, "grass": 1.0}
    assert found.notes[0].startswith("1 of 2 images.")
    (files / "predictions.json").write_text('{"annotations": []}')
    with pytest.raises(ScasegError, match=r"no prediction in .* is of one of the 2 images"):
        score(files, only_predicted=True)


def test_means_over_all_classes_count_absent_ones_as_0(files: Path) -> None:
    assert score(files).summary.groups["all"]["pq"] == pytest.approx(2.8 / 3, abs=1e-12)
    found = score(files, means="all")
    assert found.summary.groups["all"]["pq"] == pytest.approx(2.8 / 4, abs=1e-12)
    assert np.isnan(found.summary.per_class["pq"]).sum() == 1  # the table by class still says that the dog is absent
    assert any("--means all" in note for note in found.notes)


def test_a_segment_more_than_the_png_has_is_an_error(files: Path) -> None:
    change_json(
        files / "predictions.json", lambda content: content["annotations"][0]["segments_info"].append(segment(9, DOG))
    )
    with pytest.raises(ScasegError, match="has no pixel of segment 9"):
        score(files)


def test_a_segment_that_is_listed_again_counts_once(files: Path) -> None:
    """As transformers lists the parts of a stuff segment that it fused."""

    def again(content: dict[str, Any]) -> None:
        segments = content["annotations"][0]["segments_info"]
        segments.append(dict(segments[1]))

    change_json(files / "predictions.json", again)
    found = score(files)
    assert pq(found) == RIGHT
    assert any("1 predicted segments are listed again" in note for note in found.notes)


def test_one_id_of_two_classes_is_refused(files: Path) -> None:
    """As transformers numbers the segment after a fused one; whose the pixels are is lost."""

    def again(content: dict[str, Any]) -> None:
        segments = content["annotations"][0]["segments_info"]
        segments.append({**segments[1], "category_id": DOG})

    change_json(files / "predictions.json", again)
    with pytest.raises(ScasegError, match=r"1.jpg\): segment id 2 occurs twice, with category_id 100 and 3") as caught:
        score(files)
    assert "label_ids_to_fuse=set()" in (caught.value.hint or "")


def test_images_of_another_set_are_told_at_once(files: Path) -> None:
    change_json(
        files / "predictions.json", lambda content: [item.update(image_id=9) for item in content["annotations"]]
    )
    with pytest.raises(ScasegError, match="is of one of the 2 images of the annotations") as caught:
        score(files)
    assert "the predictions have '9', the annotations have '1'" in (caught.value.hint or "")


def test_many_segments_that_do_not_fit_are_a_line(files: Path) -> None:
    """As with the JSON of another run."""

    def others(content: dict[str, Any]) -> None:
        content["annotations"][0]["segments_info"] = [segment(number, CAT) for number in range(10, 17)]

    change_json(files / "predictions.json", others)
    with pytest.raises(ScasegError) as caught:
        score(files)
    line = next(line for line in caught.value.message.splitlines() if "1.png" in line)
    assert "has no pixel of segments 10, 11, 12, 13, 14 and 2 more, which are in its JSON; " in line
    assert line.endswith("1.png has pixels of segments 1, 2, which are not in its JSON")
