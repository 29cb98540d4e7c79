"""How classes are shown: name, colour, and whether training held them back."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaseg_cli.data.class_lists import coco_panoptic, coco_stuff

if TYPE_CHECKING:
    from scaseg_cli.data.records import LabelledSet
    from scaseg_cli.split import ClassList

_TONES = ((0.85, 0.95), (0.5, 0.85), (0.8, 0.6))  # saturation and value
_HUE_STEP = (
    0.7548777  # irrational, and with these tones the first forty classes lie further apart than by the golden one
)

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassStyle:
    """How a class is shown: its name, its colour, and whether training held it back."""

    name: str
    colour: Colour
    unseen: bool


def palette_colour(class_id: int) -> Colour:
    """A colour for a class that has none of its own: a hue and a tone that neighbours do not share."""
    saturation, value = _TONES[class_id % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _HUE_STEP % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def class_styles(labelled: LabelledSet, classes: ClassList) -> list[ClassStyle]:
    """Names and colours by class id.

    The data's own colours where it has them; else, by name, those of COCO panoptic or, for label maps, of COCO-Stuff.
    """
    published = coco_panoptic() if labelled.map_values is None else coco_stuff()
    by_name = {item.name: item.colour for item in published}
    own = {category.id: category.colour for category in labelled.categories}
    return [
        ClassStyle(
            item.name, own.get(item.category_id) or by_name.get(item.name) or palette_colour(class_id), not item.seen
        )
        for class_id, item in enumerate(classes.classes)
    ]
