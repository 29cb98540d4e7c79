"""The names and colours in which classes are drawn."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff

if TYPE_CHECKING:
    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.split.classes import ClassList

_TONES = ((0.85, 0.95), (0.5, 0.85), (0.8, 0.6))  # saturation and value
_HUE_STEP = 0.7548777  # irrational; with these tones it separates the first forty classes better than the golden ratio

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassStyle:
    """The appearance of a class: its name, its colour, whether it is unseen, and whether it is a thing."""

    name: str
    colour: Colour
    unseen: bool
    isthing: bool = True


def palette_colour(class_id: int) -> Colour:
    """A colour for a class without its own; neighbouring ids differ in hue and tone."""
    saturation, value = _TONES[class_id % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _HUE_STEP % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def class_styles(labelled: LabelledSet, classes: ClassList) -> list[ClassStyle]:
    """Choose names and colours, by class id.

    Uses the colours of the data if it has them, otherwise those of the same names in COCO panoptic or, for label maps,
    in COCO-Stuff.
    """
    published = coco_panoptic() if labelled.map_values is None else coco_stuff()
    by_name = {item.name: item.colour for item in published}
    own = {category.id: category.colour for category in labelled.categories}
    return [
        ClassStyle(
            item.name,
            own.get(item.category_id) or by_name.get(item.name) or palette_colour(class_id),
            not item.seen,
            item.isthing,
        )
        for class_id, item in enumerate(classes.classes)
    ]
