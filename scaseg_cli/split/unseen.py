"""Which class names are unseen: a known split, a file of names, or the recipe's own list."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scaseg_cli.data.records import Category

KNOWN_SPLITS = ("coco-zps", "coco-zss", "shapes-zps", "shapes-zss")
# docs/method.md, Task: the unseen classes of COCO panoptic and of COCO-Stuff, in the data's own spelling.
COCO_ZPS = (
    "cow", "giraffe", "suitcase", "frisbee", "skateboard", "carrot", "scissors",
    "cardboard", "sky-other-merged", "grass-merged", "playingfield", "river", "road", "tree-merged",
)  # fmt: skip
COCO_ZSS = (
    "cow", "giraffe", "suitcase", "frisbee", "skateboard", "carrot", "scissors",
    "cardboard", "clouds", "grass", "playingfield", "river", "road", "tree", "wall-concrete",
)  # fmt: skip
_COCO = {"coco-zps": COCO_ZPS, "coco-zss": COCO_ZSS}
_COMMENT = re.compile(r"(^|\s)#.*")


def unseen_names(unseen: str | Sequence[str]) -> tuple[str, ...]:
    """The names that the recipe's ``split.unseen`` means. A known split's name goes before a file of that name.

    Raises:
        ScasegError: neither a known split nor a file that can be read.
    """
    if not isinstance(unseen, str):
        return tuple(unseen)
    if unseen in _COCO:
        return _COCO[unseen]
    if unseen in KNOWN_SPLITS:
        from scaseg_cli.shapes.world import UNSEEN  # one for both tasks, kept where the embedded world is drawn

        return UNSEEN
    return _names_in(Path(unseen))


def _names_in(path: Path) -> tuple[str, ...]:
    """One name a line; blank lines and what follows ``#`` are left out."""
    if not path.is_file():
        near = difflib.get_close_matches(str(path), KNOWN_SPLITS, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ScasegError(
            f"split.unseen is {str(path)!r}: neither a known split ({', '.join(KNOWN_SPLITS)}) nor a file",
            f"{hint}Name one of these, a file with one class name a line, or the names as a list.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScasegError(
            f"the file of unseen names {path} cannot be read: {error}", "It must be UTF-8 text."
        ) from error
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def check_unseen(unseen: str | Sequence[str], names: Sequence[str], categories: Iterable[Category]) -> None:
    """Go on only if ``names`` splits the data's categories into seen and unseen ones.

    Args:
        unseen: what the recipe says, for the error.
        names: what `unseen_names` made of it.
        categories: the data's.

    Raises:
        ScasegError: no name, a name twice, names that the data lacks (all of them, each with the nearest names), or
            no class is left to be seen.
    """
    origin = f"split.unseen ({unseen})" if isinstance(unseen, str) else "split.unseen"
    known = [category.name for category in categories]
    if not names:
        raise ScasegError(f"{origin} names no class", "Zero-shot segmentation needs at least one unseen class.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ScasegError(f"{origin} names twice: {', '.join(map(repr, twice))}", "Take the second ones out.")
    lacking = [name for name in names if name not in set(known)]
    if lacking:
        lines = "\n".join(f"  {name!r}{_nearest(name, known)}" for name in lacking)
        raise ScasegError(
            f"{origin} names {len(lacking)} of {len(names)} classes that the data lacks:\n{lines}",
            "Names are spelt as in the data's own list of classes.",
        )
    if len(names) == len(known):
        raise ScasegError(f"{origin} names all {len(known)} classes of the data", "At least one class must be seen.")


def _nearest(name: str, known: Iterable[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = [by_lower[lower] for lower in difflib.get_close_matches(name.lower(), list(by_lower), n=3)]
    return f": did you mean {' or '.join(map(repr, near))}?" if near else ""
