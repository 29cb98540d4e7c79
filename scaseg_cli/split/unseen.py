"""Finds the names of the unseen classes: a known split, a file of names, or a list in the recipe."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.data.class_names import names_in
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.data.records import Category

# docs/method.md, Task: the unseen classes of COCO panoptic and COCO-Stuff, spelled as in the data.
COCO_ZPS = (
    "cow", "giraffe", "suitcase", "frisbee", "skateboard", "carrot", "scissors",
    "cardboard", "sky-other-merged", "grass-merged", "playingfield", "river", "road", "tree-merged",
)  # fmt: skip
COCO_ZSS = (
    "cow", "giraffe", "suitcase", "frisbee", "skateboard", "carrot", "scissors",
    "cardboard", "clouds", "grass", "playingfield", "river", "road", "tree", "wall-concrete",
)  # fmt: skip
# docs/data.md has the source of each list. Published: VOC's as in ZegCLIP, Pascal Context's largest set of ZS3.
_VOC = ("pottedplant", "sheep", "sofa", "train", "tvmonitor")
_CONTEXT = ("cow", "motorbike", "sofa", "cat", "boat", "fence", "bird", "tvmonitor", "keyboard", "aeroplane")
# Ours: no zero-shot split of these is known to be published. Each class has a seen one that looks like it.
_ADE20K = (
    "armchair", "van", "bicycle", "coffee table", "oven", "sconce", "traffic light", "pool table", "palm", "bus",
    "hill", "river", "skyscraper", "path",
)  # fmt: skip
_CITYSCAPES = ("bus", "motorcycle", "wall")
_CAMVID = ("bicyclist", "pavement")
_LISTS = {
    "coco-zps": COCO_ZPS,
    "coco-zss": COCO_ZSS,
    "voc-zss": _VOC,
    "context-zss": _CONTEXT,
    "ade20k-zps": _ADE20K,
    "ade20k-zss": _ADE20K,
    "cityscapes-zps": _CITYSCAPES,
    "cityscapes-zss": _CITYSCAPES,
    "camvid-zss": _CAMVID,
}
KNOWN_SPLITS = (*_LISTS, "shapes-zps", "shapes-zss")
_COMMENT = re.compile(r"(^|\s)#.*")


def unseen_names(unseen: str | Sequence[str]) -> tuple[str, ...]:
    """Resolve the recipe's ``split.unseen`` to names. A known split takes precedence over a file of that name.

    Raises:
        ScasegError: ``unseen`` is neither a known split nor a readable file.
    """
    if not isinstance(unseen, str):
        return tuple(unseen)
    if unseen in _LISTS:
        return _LISTS[unseen]
    if unseen in KNOWN_SPLITS:
        from scaseg_cli.shapes.world import UNSEEN  # defined with the embedded world; shared by both tasks

        return UNSEEN
    return _names_in(Path(unseen))


def _names_in(path: Path) -> tuple[str, ...]:
    """Read one name per line; blank lines and text after ``#`` are ignored."""
    if not path.is_file():
        near = difflib.get_close_matches(str(path), KNOWN_SPLITS, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ScasegError(
            f"the unseen classes (split.unseen, --unseen) are {str(path)!r}: neither a known split "
            f"({', '.join(KNOWN_SPLITS)}) nor a file",
            f"{hint}Name a known split, a file with one class name per line, or a list of class names.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(
            f"the file of unseen names {path} cannot be read: {error}", "Save it as UTF-8 text."
        ) from error
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def find_unseen(unseen: str | Sequence[str], names: Sequence[str], categories: Iterable[Category]) -> tuple[str, ...]:
    """Find the classes of the data that ``names`` means; the others are seen.

    A class is named as in the data, or by one of its names that no other class has.

    Args:
        unseen: the value in the recipe, for the error message.
        names: the result of `unseen_names`.
        categories: the categories of the data.

    Returns:
        The names of the unseen classes as in the data.

    Raises:
        ScasegError: a class is named twice or the data lacks it (lists all such names, each with similar ones), there
            is no name, or no seen class is left.
    """
    origin = f"split.unseen ({unseen})" if isinstance(unseen, str) else "split.unseen"
    known = [category.name for category in categories]
    if not names:
        raise ScasegError(f"{origin} names no class", "Name at least one unseen class.")
    meant = _meanings(known)
    found = [meant.get(name) for name in names]
    twice = [name for name, count in Counter(found).items() if count > 1 and name is not None]
    if twice:
        raise ScasegError(f"{origin} names twice: {', '.join(map(repr, twice))}", "Remove the duplicates.")
    lacking = [name for name, whole in zip(names, found, strict=True) if whole is None]
    if lacking:
        lines = "\n".join(f"  {name!r}{_nearest(name, meant)}" for name in lacking)
        raise ScasegError(
            f"{origin} names {len(lacking)} of {len(names)} classes that the data lacks:\n{lines}",
            "Spell the names as in the class list of the data.",
        )
    if len(names) == len(known):
        raise ScasegError(f"{origin} names all {len(known)} classes of the data", "Leave at least one class out of it.")
    return tuple(name for name in found if name is not None)


def _meanings(known: Sequence[str]) -> dict[str, str]:
    """The class of each name that means one class only; a class as in the data always means itself."""
    several = Counter(name for whole in known for name in names_in(whole))
    parts = {name: whole for whole in known for name in names_in(whole) if several[name] == 1}
    return parts | {whole: whole for whole in known}


def _nearest(name: str, known: Iterable[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = [by_lower[lower] for lower in difflib.get_close_matches(name.lower(), list(by_lower), n=3)]
    return f": did you mean {' or '.join(map(repr, near))}?" if near else ""
