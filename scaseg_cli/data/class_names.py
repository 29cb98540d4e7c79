"""The names of a class: "person, individual, someone" has three, and prompts use them in natural language."""

from __future__ import annotations

import re
from typing import Literal

Choice = Literal["first", "all"]  # the recipe's data.names
# Words that COCO-Stuff and Pascal VOC write as one.
_JOINED = {
    "playingfield": "playing field",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv monitor",
}
_SEPARATOR = re.compile(r"[,|]")


def names_in(text: str, choice: Choice = "all") -> tuple[str, ...]:
    """Split a class name of the data into its names, at commas and vertical bars; repeated names count once.

    Args:
        text: the class name, such as ADE20K's "door, double door".
        choice: ``first`` returns the first name only.
    """
    parts = (" ".join(part.split()) for part in _SEPARATOR.split(text))
    found = tuple(dict.fromkeys(part for part in parts if part)) or (text.strip(),)
    return found[:1] if choice == "first" else found


def spoken_name(name: str) -> str:
    """Convert a class name for use in a prompt: "sky-other-merged" to "sky", "wall-brick" to "wall brick".

    Ours: the publication does not say whether the prompts keep COCO's suffixes. "-merged", "-other" and "-stuff"
    describe how the dataset was made and occur in no caption. Results keep the names of the data.
    """
    bare = re.sub(r"(-(merged|other|stuff))+$", "", name.strip())
    words = re.sub(r"[-_\s]+", " ", bare).strip()
    return _JOINED.get(words, words)


def key_of(name: str) -> str:
    """Return what identifies a single name: names with the same key mean the same."""
    return spoken_name(name).casefold()
