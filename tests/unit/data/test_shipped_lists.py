"""The class lists of the field's data sets, against what MMSegmentation and MMDetection have, and the splits."""

import importlib
from pathlib import Path

import pytest

from scaseg_cli.base import mmcv_ops
from scaseg_cli.data.class_lists import COCO_STUFF, SHIPPED_LISTS, read_class_list
from scaseg_cli.data.class_names import names_in
from scaseg_cli.errors import ScasegError
from scaseg_cli.recipe import load_recipe
from scaseg_cli.split.hidden_names import hidden_by_seen
from scaseg_cli.split.unseen import KNOWN_SPLITS, find_unseen, unseen_names

NOWHERE = Path("nowhere")
# name of the list: module and class of MMSegmentation, the first id, and how many of its classes come before
SOURCES = {
    "voc": ("voc", "PascalVOCDataset", 1, 1),
    "pascal-context": ("pascal_context", "PascalContextDataset59", 1, 0),
    "ade20k": ("ade", "ADE20KDataset", 1, 0),
    "cityscapes": ("cityscapes", "CityscapesDataset", 0, 0),
}
UNSEEN = {"voc": 5, "pascal-context": 10, "ade20k": 14, "cityscapes": 3, "camvid": 2}


@pytest.mark.parametrize("name", SOURCES)
def test_ids_names_and_colours_are_mmsegmentations(name):
    module, kind, first, skipped = SOURCES[name]
    mmcv_ops.install()
    published = getattr(importlib.import_module(f"mmseg.datasets.{module}"), kind).METAINFO
    found = read_class_list(NOWHERE, name)
    names = [text.strip() for text in published["classes"][skipped:]]
    assert [item.id for item in found] == list(range(first, first + len(names)))
    assert [list(item.colour) for item in found] == published["palette"][skipped:]
    # ADE20K's own list has all names of a class, MMSegmentation's one of them
    assert [name for item, name in zip(found, names, strict=True) if name not in names_in(item.name)] == []
    if name != "ade20k":
        assert [item.name for item in found] == names


def test_ade20ks_things_are_those_of_its_panoptic_labels():
    mmcv_ops.install()
    panoptic = importlib.import_module("mmdet.datasets.ade20k").ADE20KPanopticDataset.METAINFO
    things = {name.strip() for text in panoptic["thing_classes"] for name in text.split(",")}
    found = read_class_list(NOWHERE, "ade20k")
    assert [item.isthing for item in found].count(True) == len(panoptic["thing_classes"]) == 100
    assert [item.name for item in found if item.isthing and things.isdisjoint(names_in(item.name))] == []


def test_camvid_has_segnets_eleven_classes():
    found = read_class_list(NOWHERE, "camvid")
    assert [item.id for item in found] == list(range(11))
    assert (found[0].name, found[10].name, found[10].colour) == ("sky", "bicyclist", (0, 128, 192))


@pytest.mark.parametrize("name", UNSEEN)
def test_no_seen_class_hides_an_unseen_one(name):
    split = "context-zss" if name == "pascal-context" else f"{name}-zss"
    categories = read_class_list(NOWHERE, name)
    unseen = find_unseen(split, unseen_names(split), categories)
    assert len(unseen) == UNSEEN[name]
    assert hidden_by_seen({item.name for item in categories} - set(unseen), unseen) == []


def test_each_list_and_each_split_has_a_recipe():
    """And the recipe's list has the split's classes."""
    used = set()
    for split in KNOWN_SPLITS:
        recipe = load_recipe(split)
        assert recipe.split.unseen == split or split.startswith("shapes")
        if recipe.data.categories in SHIPPED_LISTS:
            used.add(recipe.data.categories)
            find_unseen(split, unseen_names(split), read_class_list(NOWHERE, recipe.data.categories))
    assert used == set(SHIPPED_LISTS)
    assert COCO_STUFF in used


def test_an_unknown_list_names_the_shipped_ones(tmp_path):
    with pytest.raises(ScasegError, match=r"pascal does not exist") as caught:
        read_class_list(tmp_path, "pascal")
    assert "voc, pascal-context, ade20k" in caught.value.hint
