"""COCO's published class lists, and mistakes in a user's list."""

import importlib
import json
from pathlib import Path

import pytest
from outside_data import needs_outside, outside
from semantic_files import CLASSES, write_classes

from scaseg_cli.base import mmcv_ops
from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff, coco_stuff_raw_values, read_class_list
from scaseg_cli.data.records import Category
from scaseg_cli.errors import ScasegError

SAMPLE = outside("coco_sample/panoptic_coco_categories.json")


def refusal(root: Path, classes) -> ScasegError:
    with pytest.raises(ScasegError) as caught:
        read_class_list(root, write_classes(root, classes))
    return caught.value


def test_coco_stuff_has_80_things_and_91_kinds_of_stuff():
    classes = coco_stuff()
    assert [category.id for category in classes] == list(range(171))
    assert [category.isthing for category in classes] == [True] * 80 + [False] * 91
    assert len({category.name for category in classes}) == 171
    named = {0: "person", 10: "fire hydrant", 11: "stop sign", 79: "toothbrush", 80: "banner", 145: "sky-other"}
    assert {number: classes[number].name for number in named} == named
    assert classes[170].name == "wood"


def test_coco_stuffs_own_ids_leave_out_the_eleven_that_do_not_occur():
    values = coco_stuff_raw_values()
    assert {value + 1 for value in range(182)} - {value + 1 for value in values} == {
        12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91,
    }  # fmt: skip
    assert list(values) == sorted(values)
    own_ids = dict(zip((category.name for category in coco_stuff()), (value + 1 for value in values), strict=True))
    # from COCO-Stuff's published list of labels
    published = {"stop sign": 13, "backpack": 27, "handbag": 31, "wine glass": 46, "dining table": 67, "toilet": 70}
    published |= {"tv": 72, "book": 84, "toothbrush": 90, "banner": 92, "clouds": 106, "road": 149, "wood": 182}
    assert {name: own_ids[name] for name in published} == published


def test_coco_panoptic_has_80_things_and_53_kinds_of_stuff():
    classes = coco_panoptic()
    assert [category.isthing for category in classes].count(True) == 80
    assert len({category.id for category in classes}) == len({category.name for category in classes}) == 133
    assert classes[0] == Category(1, "person", True)
    assert classes[-1] == Category(200, "rug-merged", False)


@needs_outside("coco_sample")
def test_coco_panoptic_is_cocos_own_list():
    own = {
        (item["id"], item["name"], bool(item["isthing"]), tuple(item["color"]))
        for item in json.loads(SAMPLE.read_text())
    }
    assert {(item.id, item.name, item.isthing, item.colour) for item in coco_panoptic()} == own


@pytest.mark.parametrize(
    ("own", "module", "dataset"),
    [
        (coco_panoptic, "mmdet.datasets.coco_panoptic", "CocoPanopticDataset"),
        (coco_stuff, "mmseg.datasets.coco_stuff", "COCOStuffDataset"),
    ],
)
def test_names_and_colours_are_the_hosts(own, module, dataset):
    mmcv_ops.install()
    known = getattr(importlib.import_module(module), dataset).METAINFO
    assert [item.name for item in own()] == list(known["classes"])
    assert [item.colour for item in own()] == [tuple(colour) for colour in known["palette"]]


def test_coco_stuff_goes_by_its_name_and_other_lists_are_files(tmp_path):
    assert read_class_list(tmp_path, "coco-stuff") == coco_stuff()
    own = read_class_list(tmp_path, write_classes(tmp_path))
    assert own == (
        Category(0, "cat", True), Category(1, "cow", True), Category(2, "grass", False), Category(300, "sky", False),
    )  # fmt: skip
    assert [category.colour for category in own] == [None, (9, 8, 7), None, None]
    with pytest.raises(ScasegError, match=r"the list of classes \(data\.categories\) .*coco-stufff does not exist"):
        read_class_list(tmp_path, "coco-stufff")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": 0}, "class 3: id 0 occurs twice"),
        ({"name": "cow"}, "class 3: name 'cow' occurs twice"),
        ({"id": 255}, "class 3: id is 255, which label maps reserve for ignored pixels"),
        ({"id": -1}, "class 3: id is -1, not a whole number in 0..65534"),
        ({"id": 65536}, "class 3: id is 65536, not a whole number in 0..65534"),
        ({"id": "3"}, "class 3: id is '3', not a whole number in 0..65534"),
        ({"name": ""}, "class 3: name is '', not text"),
        ({"isthing": "no"}, "class 3: isthing is 'no', not 0 or 1"),
        ({"color": [1, 2]}, r"class 3: color is \[1, 2\], not three numbers in 0..255"),
    ],
)
def test_a_wrong_class_is_named(tmp_path, change, text):
    error = refusal(tmp_path, [*CLASSES[:3], {**CLASSES[3], **change}])
    assert error.message.endswith(f"classes.json: {text}".replace("\\", ""))
    assert '"id": 0, "name": "cat"' in error.hint


def test_all_mistakes_of_a_list_come_together(tmp_path):
    message = refusal(tmp_path, [{"id": 1}, {"name": "cat"}, 7, {"id": 1, "name": "dog"}]).message
    assert "classes.json has 3 mistakes" in message
    assert "class 0: the key 'name' is missing" in message
    assert "class 1: the key 'id' is missing" in message
    assert "class 2: it is 7, not a mapping" in message


@pytest.mark.parametrize(("content", "text"), [([], "is empty"), ({"categories": []}, "is not a list")])
def test_what_is_no_list_of_classes_is_refused(tmp_path, content, text):
    assert refusal(tmp_path, content).message.endswith(f"classes.json {text}")
