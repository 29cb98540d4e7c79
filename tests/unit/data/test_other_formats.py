"""COCO's other annotation files, given instead of the panoptic one."""

import json
from pathlib import Path

import pytest
from panoptic_files import CATEGORIES, panoptic_json, striped

from scaseg_cli.data.annotations import read_panoptic_set
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe.data_section import ImageSet

IMAGES = [{"id": 9, "file_name": "9.jpg", "width": 8, "height": 6}]
INSTANCE = {"id": 1, "image_id": 9, "category_id": 1, "segmentation": [[0, 0, 1, 1, 0, 1]], "area": 1.0, "iscrowd": 0,
            "bbox": [0, 0, 1, 1]}  # fmt: skip


def refusal(folder: Path, content) -> ScasegError:
    (folder / "given.json").write_text(json.dumps(content))
    with pytest.raises(ScasegError) as caught:
        read_panoptic_set(folder, ImageSet(images="images", annotations="given.json", labels="labels"))
    return caught.value


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"images": IMAGES, "annotations": [INSTANCE], "categories": [{"id": 1, "name": "cat"}]}, "instances with"),
        ({"images": IMAGES, "annotations": [{"image_id": 9, "id": 1, "caption": "A cat."}]}, "captions"),
        ({"images": IMAGES, "annotations": [{**INSTANCE, "keypoints": []}], "categories": []}, "person keypoints"),
        ({"images": IMAGES, "categories": [dict(CATEGORIES[0])]}, "images without annotations"),
    ],
)
def test_the_kind_of_file_is_reported(tmp_path, content, kind):
    error = refusal(tmp_path, content)
    assert error.message.startswith(f"the annotation file {tmp_path / 'given.json'} contains {kind}")
    assert error.message.endswith(", not panoptic labels")
    assert "panoptic_train2017.json" in error.hint


def test_a_panoptic_file_with_a_mistake_is_not_taken_for_another(tmp_path):
    content = panoptic_json([striped(9, 1, 100)])
    content["annotations"][0]["segments_info"][0]["area"] = "much"
    assert "area is 'much'" in refusal(tmp_path, content).message
