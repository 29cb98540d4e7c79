"""The colours of classes."""

from pathlib import Path

import numpy as np
import pytest

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff
from scaseg_cli.data.records import Category, LabelledSet
from scaseg_cli.drawing.class_styles import ClassStyle, class_styles, palette_colour
from scaseg_cli.split.classes import class_list

CATEGORIES = (
    Category(7, "cat", True), Category(3, "zebra crossing", True), Category(9, "person", True, (10, 20, 30)),
    Category(1, "sand", False),
)  # fmt: skip


def styles_of(*, are_maps: bool) -> dict[str, ClassStyle]:
    map_values = tuple(item.id for item in CATEGORIES) if are_maps else None
    labelled = LabelledSet(Path(), Path(), CATEGORIES, (), map_values)
    styles = class_styles(labelled, class_list(CATEGORIES, ["cat"]))
    assert [style.name for style in styles] == ["sand", "zebra crossing", "person", "cat"]
    assert [style.unseen for style in styles] == [False, False, False, True]
    return {style.name: style for style in styles}


@pytest.mark.parametrize(("are_maps", "published"), [(False, coco_panoptic), (True, coco_stuff)])
def test_classes_have_the_colour_of_the_data_or_of_coco_or_one_of_the_palette(are_maps, published):
    styles = styles_of(are_maps=are_maps)
    coco = {item.name: item.colour for item in published()}
    assert styles["person"].colour == (10, 20, 30)
    assert (styles["cat"].colour, styles["sand"].colour) == (coco["cat"], coco["sand"])
    assert styles["zebra crossing"].colour == palette_colour(1)


def test_categories_that_differ_in_colour_alone_are_the_same():
    assert Category(1, "cat", True, (1, 2, 3)) == Category(1, "cat", True)


def test_colours_of_the_palette_are_unlike_each_other():
    colours = np.array([palette_colour(i) for i in range(40)])
    distances = np.abs(colours[:, None] - colours[None]).max(-1) + 255 * np.eye(40)
    assert distances[:12, :12].min() > 60
    assert distances.min() > 20
    assert colours.min() >= 0
    assert colours.max() <= 255
