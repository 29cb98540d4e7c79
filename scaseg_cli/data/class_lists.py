"""Class lists: those of the field's datasets, shipped as files in this package, and the user's own as JSON.

The shipped lists contain the colours in which MMDetection, MMSegmentation and, for CamVid, SegNet draw the classes.
docs/data.md has the source of each.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.records import IGNORED, MAX_MAP_VALUE, Category
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json

COCO_STUFF = "coco-stuff"
# Shipped lists of label maps by name, with the ids of the maps as published; coco-stuff has two numberings.
_SHIPPED = {
    "voc": "voc.json",
    "pascal-context": "pascal_context.json",
    "ade20k": "ade20k.json",
    "cityscapes": "cityscapes.json",
    "camvid": "camvid.json",
}
SHIPPED_LISTS = (COCO_STUFF, *_SHIPPED)
_HINT = 'Write a list of {"id": 0, "name": "cat", "isthing": 1, "color": [220, 20, 60]}; the last two are optional.'


@cache
def coco_panoptic() -> tuple[Category, ...]:
    """The 133 classes of COCO panoptic with their category ids, 1..200 with gaps."""
    return tuple(
        Category(item["id"], item["name"], bool(item["isthing"]), tuple(item["color"]))
        for item in _shipped("coco_panoptic.json")
    )


@cache
def coco_stuff() -> tuple[Category, ...]:
    """The 171 classes of COCO-Stuff with MMSegmentation's contiguous ids 0..170, in the order of the original ids."""
    return tuple(
        Category(place, item["name"], bool(item["isthing"]), tuple(item["color"]))
        for place, item in enumerate(_shipped("coco_stuff.json"))
    )


@cache
def coco_stuff_raw_values() -> tuple[int, ...]:
    """The value of each `coco_stuff` class in COCO-Stuff's own label maps: original id - 1, 0..181 with 11 gaps."""
    return tuple(item["id"] - 1 for item in _shipped("coco_stuff.json"))


def _shipped(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = read_json(Path(__file__).with_name(name), "the class list")
    return items


def read_class_list(root: Path, name: str) -> tuple[Category, ...]:
    """Read the classes of label maps: a shipped list, such as ``coco-stuff``, or a JSON file relative to ``root``.

    Raises:
        ScasegError: the file is missing or not a valid class list; reports all mistakes at once.
    """
    if name == COCO_STUFF:
        return coco_stuff()
    what = "the list of classes (data.categories)"
    path = Path(__file__).with_name(_SHIPPED[name]) if name in _SHIPPED else root / name
    if not path.is_file():
        remedy = f"Name a JSON file, or a shipped list: {', '.join(SHIPPED_LISTS)}."
        if not root.is_dir():
            remedy = f"There is no folder {root}; name that of the data: --set data.root=PATH"
        raise ScasegError(f"{what} {path} does not exist", remedy)
    return _categories_in(path, what)


def _categories_in(path: Path, what: str) -> tuple[Category, ...]:
    items = read_json(path, what)
    if not isinstance(items, list) or not items:
        kind = "is empty" if isinstance(items, list) else "is not a list"
        raise ScasegError(f"{what} {path} {kind}", _HINT)
    mistakes = Mistakes(f"{what} {path}")
    ids: set[int] = set()
    names: set[str] = set()
    categories = []
    for position, item in enumerate(items):
        problem = _problem(item)
        if problem is None and item["id"] in ids:
            problem = f"id {item['id']} occurs twice"
        elif problem is None and item["name"] in names:
            problem = f"name {item['name']!r} occurs twice"
        if problem is not None:
            mistakes.add(f"class {position}: {problem}")
            continue
        ids.add(item["id"])
        names.add(item["name"])
        colour = item.get("color")
        isthing = bool(item.get("isthing", False))
        categories.append(Category(item["id"], item["name"], isthing, tuple(colour) if colour else None))
    mistakes.stop_if_any(_HINT)
    return tuple(categories)


def _problem(item: Any) -> str | None:
    """Describe what is wrong with one class; None if nothing is."""
    if not isinstance(item, dict):
        return f"it is {item!r:.80}, not a mapping"
    missing = next((key for key in ("id", "name") if key not in item), None)
    if missing is not None:
        return f"the key {missing!r} is missing"
    number, name, colour = item["id"], item["name"], item.get("color")
    if type(number) is not int or not 0 <= number < MAX_MAP_VALUE:
        return f"id is {number!r:.80}, not a whole number in 0..{MAX_MAP_VALUE - 1}"
    if number == IGNORED:
        return f"id is {IGNORED}, which label maps reserve for ignored pixels"
    if not isinstance(name, str) or not name.strip():
        return f"name is {name!r:.80}, not text"
    if item.get("isthing", False) not in (0, 1):
        return f"isthing is {item['isthing']!r:.80}, not 0 or 1"
    return None if colour is None or _is_colour(colour) else f"color is {colour!r:.80}, not three numbers in 0..255"


def _is_colour(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(part) is int and 0 <= part <= 255 for part in value)
