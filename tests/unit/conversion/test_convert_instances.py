"""`scaseg convert instances`: pixels, ids and counts, resuming, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import contents, scaseg
from pycocotools import mask as coco_mask

from scaseg_cli.conversion import output
from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.data.images import read_label
from scaseg_cli.recipe.data_section import ImageSet

WIDTH, HEIGHT = 12, 8
CAT, DOG, SKY = 1, 7, 100


def box(left: int, top: int, width: int, height: int) -> list[list[float]]:
    right, bottom = left + width, top + height
    return [[left, top, right, top, right, bottom, left, bottom]]


def run_lengths(left: int, top: int, width: int, height: int, compressed: bool) -> dict:
    mask_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask_HW[top : top + height, left : left + width] = 1
    if compressed:
        encoded = coco_mask.encode(np.asfortranarray(mask_HW))
        return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}
    flat = mask_HW.T.reshape(-1)  # column by column, beginning with zeros
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]]))).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges]).tolist()}


def annotation(number: int, image_id, category_id: int, segmentation, **more) -> dict:
    return {"id": number, "image_id": image_id, "category_id": category_id, "segmentation": segmentation, **more}


@pytest.fixture
def content() -> dict:
    return {
        "images": [
            {"id": float(number), "file_name": f"{name}.jpg", "width": WIDTH, "height": float(HEIGHT)}
            for number, name in enumerate(("first", "second", "empty"), start=1)
        ],
        "categories": [
            {"id": CAT, "name": "cat", "supercategory": "pet"}, {"id": DOG, "name": "dog"}, {"id": SKY, "name": "sky"},
        ],
        "annotations": [
            annotation(900100002299, 1, CAT, box(2, 2, 2, 2)),
            annotation(2, 1, DOG, box(1, 1, 6, 5)),
            annotation(3, 1, SKY, run_lengths(0, 0, 12, 1, compressed=False)),
            annotation(4, 1, SKY, run_lengths(0, 7, 12, 1, compressed=True)),
            annotation(5, 1, CAT, run_lengths(0, 0, 12, 8, compressed=False), iscrowd=1),
            annotation(6, 1, CAT, []),  # a box alone
            annotation(7, 2, DOG, box(0, 0, 3, 3)),
            annotation(8, 2, CAT, box(0, 0, 3, 3)),  # the same pixels
        ],
    }  # fmt: skip


def write(folder: Path, content) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def convert(capfd, folder: Path, content, *more: str) -> dict:
    found = scaseg(
        capfd, "convert", "instances", str(write(folder, content)), "-o", str(folder / "p.json"), "--json", *more
    )
    assert found.code == 0, found.err
    return json.loads(found.out)


def test_pixels_ids_and_counts(capfd, tmp_path, content):
    found = convert(capfd, tmp_path, content)
    assert found["counts"] == {
        "images": 2, "without_objects": 1, "segments": 6, "crowds": 1, "hidden": 1, "without_outline": 1,
    }  # fmt: skip
    where = ImageSet(images=".", annotations="p.json", labels="p")
    labelled = read_panoptic_set(tmp_path, where)
    assert [(c.id, c.name, c.isthing) for c in labelled.categories] == [
        (CAT, "cat", True),
        (DOG, "dog", True),
        (SKY, "sky", True),
    ]
    first, second = labelled.images
    found = first.image_id, first.file_name, first.label_name, first.height
    assert found == (1, "first.jpg", "first.png", HEIGHT)
    ids_HW = read_label(labelled, first)
    category_of = {segment.id: (segment.category_id, segment.iscrowd) for segment in first.segments}
    crowd, dog, cat, top, bottom = (ids_HW[y, x] for y, x in ((6, 11), (1, 1), (2, 2), (0, 0), (7, 0)))
    assert len({crowd, dog, cat, top, bottom}) == 5
    assert [category_of[k] for k in (crowd, dog, cat, top, bottom)] == [
        (CAT, 1),
        (DOG, 0),
        (CAT, 0),
        (SKY, 0),
        (SKY, 0),
    ]
    by_id = {segment.id: segment for segment in first.segments}
    assert by_id[dog].area == 6 * 5 - 4
    written = json.loads((tmp_path / "p.json").read_text())["annotations"][0]["segments_info"]
    assert {item["id"]: item["bbox"] for item in written}[dog] == [1, 1, 6, 5]
    assert (by_id[top].area, by_id[crowd].area) == (12, 8 * 12 - 24 - 30)
    assert [segment.area for segment in second.segments] == [9]
    assert (read_label(labelled, second) == 0).sum() == WIDTH * HEIGHT - 9  # void


def test_objects_of_stuff_become_one_segment(capfd, tmp_path, content):
    found = convert(capfd, tmp_path, content, "--stuff", "sky")
    assert found["counts"]["segments"] == 5
    written = json.loads((tmp_path / "p.json").read_text())
    assert {item["name"]: item["isthing"] for item in written["categories"]} == {"cat": 1, "dog": 1, "sky": 0}
    sky = [item for item in written["annotations"][0]["segments_info"] if item["category_id"] == SKY]
    assert [(item["area"], item["bbox"]) for item in sky] == [(24, [0, 0, 12, 8])]


def test_an_interrupted_conversion_continues_with_the_same_bytes(capfd, tmp_path, content, monkeypatch):
    whole = tmp_path / "whole"
    whole.mkdir()
    convert(capfd, whole, content)
    written: list[str] = []
    write_bytes = output.write_bytes

    def interrupted(path: Path, data: bytes) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path.name)
        write_bytes(path, data)

    monkeypatch.setattr(output, "write_bytes", interrupted)
    arguments = ("convert", "instances", str(write(tmp_path, content)), "-o", str(tmp_path / "p.json"))
    assert scaseg(capfd, *arguments).code == 130
    assert not (tmp_path / "p.json").exists()
    (kept,) = (tmp_path / "p").glob("*.png")
    before = kept.stat().st_mtime_ns
    other = write(tmp_path / "whole", {**content, "annotations": content["annotations"][:3]})
    refused = scaseg(capfd, "convert", "instances", str(other), "-o", str(tmp_path / "p.json"))
    assert (refused.code, "holds a part of another conversion" in refused.err) == (2, True)
    monkeypatch.setattr(output, "write_bytes", write_bytes)
    found = scaseg(capfd, *arguments)
    assert found.code == 0
    assert "continuing" in found.err
    assert kept.stat().st_mtime_ns == before
    assert contents(tmp_path / "p") == contents(whole / "p")
    assert (tmp_path / "p.json").read_bytes() == (whole / "p.json").read_bytes()
    again = scaseg(capfd, *arguments)
    assert (again.code, "already converted" in again.err) == (0, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"annotations": [annotation(1, "text", CAT, box(0, 0, 2, 2))]}, "annotation 1 is of image 'text', which"),
        ({"annotations": [annotation(1, 1, 3, box(0, 0, 2, 2))]}, "annotation 1 is of category 3, which is"),
        ({"annotations": [annotation(1, 1, CAT, [[1, 2, 3, 4]])]}, "a polygon has 4 numbers"),
        ({"annotations": [annotation(1, 1, CAT, {"size": [8, 11], "counts": "0"})]}, "its mask is 11 x 8 pixels"),
        ({"annotations": [annotation(1, 1, CAT, {"size": [8, 12], "counts": [5, 4]})]}, "add up to 96"),
        ({"annotations": [annotation(1, 1, CAT, {"size": [8, 12], "counts": "54"})]}, "add up to 96"),
        ({"annotations": [annotation(1, 1, CAT, {"size": [8, 12], "counts": "P"})]}, "not COCO's compressed text"),
        ({"annotations": [annotation(1, 1, CAT, [[0, 0, 1, 0, 1, 99]])]}, "a polygon has y = 99, far outside"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "width": 99999, "height": 99999}]}, "99999 x 99999 pixels, more"),
        ({"annotations": [annotation(1, 1, CAT, box(0, 0, 2, 2), iscrowd=2)]}, "iscrowd is 2"),
        ({"annotations": []}, "no image of"),
        ({"images": [{"id": 1, "file_name": "../a.jpg", "width": 2, "height": 2}]}, "leads out of"),
        ({"images": [{"id": k, "file_name": f"a.{k}", "width": 2, "height": 2} for k in range(2)]}, "the label a.png"),
        ({"images": [{"id": 1, "file_name": "a.jpg", "width": 2.5, "height": 2}]}, "not in COCO's instance format"),
        ({"categories": [{"id": CAT, "name": "cat"}] * 2}, "category id 1 occurs 2 times"),
        ({"annotations": [{"image_id": 1, "segments_info": []}]}, "not in COCO's instance format"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(capfd, tmp_path, content, change, says):
    path = write(tmp_path, content | change)
    found = scaseg(capfd, "convert", "instances", str(path), "-o", str(tmp_path / "p.json"))
    assert (found.code, says in found.err) == (2, True), found.err
    assert not (tmp_path / "p.json").exists()


def test_nothing_else_is_overwritten(capfd, tmp_path, content):
    path, output = write(tmp_path, content), tmp_path / "p.json"
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine.png").write_bytes(b"mine")
    found = scaseg(capfd, "convert", "instances", str(path), "-o", str(output))
    assert (found.code, "is not empty" in found.err) == (2, True)
    output.write_text("{}")
    found = scaseg(capfd, "convert", "instances", str(path), "-o", str(output))
    assert (found.code, "exists, and is not of this conversion" in found.err) == (2, True)
    found = scaseg(capfd, "convert", "instances", str(path), "-o", str(tmp_path / "p"))
    assert (found.code, "does not end with .json" in found.err) == (2, True)
    found = scaseg(capfd, "convert", "instances", str(path), "-o", str(tmp_path / "q.json"), "--stuff", "sea")
    assert (found.code, "lacks: 'sea'" in found.err) == (2, True)
