"""Finds unseen classes that a seen class names too: training would show them under that other name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.class_names import Choice, key_of, names_in

if TYPE_CHECKING:
    from collections.abc import Iterable

# Words of the field's class lists for one thing; spaces do not count.
_SYNONYMS = (
    ("sofa", "couch"),
    ("tv", "tvmonitor", "television", "televisionreceiver"),
    ("motorbike", "motorcycle"),
    ("aeroplane", "airplane"),
    ("bicycle", "bike"),
    ("sidewalk", "pavement"),
    ("refrigerator", "fridge", "icebox"),
    ("cellphone", "mobilephone"),
    ("pottedplant", "houseplant"),
    ("rug", "carpet"),
    ("trashcan", "garbagecan", "dustbin"),
)
_SAME = {word: group[0] for group in _SYNONYMS for word in group}
_IRREGULAR = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot",
    "teeth": "tooth", "mice": "mouse", "geese": "goose", "shelves": "shelf", "leaves": "leaf", "knives": "knife",
}  # fmt: skip


class Hidden(NamedTuple):
    """An unseen class, and the seen class that has a name of the same meaning."""

    unseen: str
    seen: str


def hidden_by_seen(seen: Iterable[str], unseen: Iterable[str], choice: Choice = "all") -> list[Hidden]:
    """Find the unseen classes one of whose names, or its plural or a known synonym, is a name of a seen class.

    Args:
        seen: the seen classes, as in the data.
        unseen: the unseen classes.
        choice: the recipe's ``data.names``.
    """
    having = {_meaning(name): text for text in seen for name in names_in(text, choice)}
    found = []
    for text in unseen:
        match = next((having[key] for name in names_in(text, choice) if (key := _meaning(name)) in having), None)
        if match is not None:
            found.append(Hidden(text, match))
    return found


def note_of(hidden: list[Hidden]) -> str:
    """Say it in a sentence."""
    named = ", ".join(f"{item.unseen!r} (seen class {item.seen!r})" for item in hidden)
    return f"Unseen classes that a seen class names too, so that training may show them: {named}."


def _meaning(name: str) -> str:
    """What equal names, singular and plural, and known synonyms have in common."""
    *first, last = key_of(name).split() or [""]
    joined = "".join([*first, _singular(last)])
    return _SAME.get(joined, joined)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if re.search(r"(ss|us|is)$", word) or len(word) < 4:
        return word
    for end, instead in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("uses", "us")):
        if word.endswith(end):
            return word.removesuffix(end) + instead
    return word.removesuffix("s")
