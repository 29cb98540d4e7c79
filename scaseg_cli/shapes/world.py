"""The classes of the embedded world: a thing is a colour and a shape, stuff is a colour and a pattern.

Two attributes define a class, so a network that has learned both from other classes can name it. Every attribute of an
unseen class occurs in at least three seen classes of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.92, 0.14, 0.12),
    "yellow": (0.97, 0.85, 0.10),
    "green": (0.13, 0.76, 0.22),
    "blue": (0.16, 0.34, 0.97),
    "purple": (0.66, 0.18, 0.82),
    "white": (0.95, 0.95, 0.95),
}
SHAPES = ("ring", "square", "triangle", "cross")
STUFF_COLOURS = ("red", "yellow", "green", "blue")
PATTERNS = ("stripes", "dots", "checks", "plain")
UNSEEN = (
    "red ring", "yellow triangle", "green cross", "blue square", "purple triangle",
    "red dots", "green stripes", "blue checks",
)  # fmt: skip
_FIRST_STUFF_ID = 101  # a gap between things and stuff, as in COCO: a category_id is not an index


@dataclass(frozen=True)
class ShapeClass:
    """One class.

    Attributes:
        name: colour and form, as in captions.
        category_id: its id in the annotation files.
        isthing: whether it is a thing, not stuff.
        colour: a key of `COLOURS`.
        form: one of `SHAPES` for a thing, one of `PATTERNS` for stuff.
    """

    name: str
    category_id: int
    isthing: bool
    colour: str
    form: str

    @property
    def unseen(self) -> bool:
        """Whether training scenes leave it out."""
        return self.name in UNSEEN

    @property
    def label_colour(self) -> tuple[int, int, int]:
        """The RGB colour of the class in label images, distinct for each class."""
        forms = SHAPES if self.isthing else PATTERNS
        strength = (0.95 if self.isthing else 0.5) - 0.1 * forms.index(self.form)
        red, green, blue = (round(255 * strength * part) for part in COLOURS[self.colour])
        return red, green, blue


def _all_classes() -> tuple[ShapeClass, ...]:
    things = [(colour, form) for colour in COLOURS for form in SHAPES]
    stuff = [(colour, form) for colour in STUFF_COLOURS for form in PATTERNS]
    return tuple(
        [ShapeClass(f"{colour} {form}", 1 + i, True, colour, form) for i, (colour, form) in enumerate(things)]
        + [
            ShapeClass(f"{colour} {form}", _FIRST_STUFF_ID + i, False, colour, form)
            for i, (colour, form) in enumerate(stuff)
        ]
    )


CLASSES = _all_classes()
THINGS = tuple(cls for cls in CLASSES if cls.isthing)
STUFF = tuple(cls for cls in CLASSES if not cls.isthing)
SEEN_THINGS = tuple(cls for cls in THINGS if not cls.unseen)
SEEN_STUFF = tuple(cls for cls in STUFF if not cls.unseen)
CATEGORIES: list[dict[str, Any]] = [
    {
        "id": cls.category_id,
        "name": cls.name,
        "supercategory": cls.form,
        "isthing": int(cls.isthing),
        "color": list(cls.label_colour),
    }
    for cls in CLASSES
]
# The same classes for label maps, with contiguous ids from 0.
MAP_CATEGORIES: list[dict[str, Any]] = [{**category, "id": place} for place, category in enumerate(CATEGORIES)]
