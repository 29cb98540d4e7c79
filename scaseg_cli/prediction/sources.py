"""Which images a person means: files, folders, patterns, or a list on stdin; and how their results are called."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One image.

    Attributes:
        path: its file, as the person named it.
        stem: what its results are called, unlike all others'.
        image_id: its number in COCO's format, unlike all others'.
    """

    path: Path
    stem: str
    image_id: int


def find_sources(named: Sequence[str], listed: Iterable[str] = ()) -> list[Source]:
    """The images that are meant, each once, in the order in which they are named.

    A file that does not exist is kept, so that it can be told with the broken ones.

    Args:
        named: files, folders (all images in them, not below them, by name), patterns (``*``, ``**``, ``?``, ``[]``;
            a file of that very name goes before), or ``-``: a file a line from ``listed``.
        listed: lines.

    Raises:
        ScasegError: not one image is meant, with what was looked through.
    """
    paths: dict[Path, Path] = {}
    for name in named:
        found = [Path(line.rstrip("\r\n")) for line in listed if line.strip()] if name == STDIN else _expanded(name)
        for path in found:
            paths.setdefault(path.resolve(), path)
    if not paths:
        looked = ", ".join("stdin" if name == STDIN else name for name in named) or "nothing"
        raise ScasegError(
            f"there is no image to predict in {looked}",
            "Name image files, folders of them, or patterns; a pattern with ** looks into folders below.",
        )
    stems, image_ids = _stems(list(paths.values())), _image_ids(list(paths.values()))
    return [Source(*one) for one in zip(paths.values(), stems, image_ids, strict=True)]


def _expanded(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        suffixes = _suffixes()
        return sorted(item for item in path.iterdir() if item.suffix.lower() in suffixes and item.is_file())
    if path.exists() or not glob.has_magic(name):
        return [path]
    return [Path(item) for item in sorted(glob.glob(name, recursive=True)) if Path(item).is_file()]


def _suffixes() -> set[str]:
    """Endings of the image files that can be read."""
    from PIL import Image

    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def _stems(paths: Sequence[Path]) -> list[str]:
    """The files' names without their endings; of several that would be alike, all but the first get a number.

    Alike are those whose results would be, also on a file system that does not tell capitals from small letters.
    """
    taken: set[str] = set()
    stems = []
    for path in paths:
        plain = as_text(path.stem)
        stem, number = plain, 1
        while taken & (wanted := {name.casefold() for name in result_names(stem)}):
            number += 1
            stem = f"{plain}-{number}"
        taken |= wanted
        stems.append(stem)
    return stems


def result_names(stem: str) -> tuple[str, str]:
    """The files that an image's results are written to: the map of segments, and the picture of them."""
    return f"{stem}.png", f"{stem}-overlay.png"


def as_text(name: str) -> str:
    """A file's name as it can be written into a JSON, with signs in place of bytes that are no text."""
    return os.fsencode(name).decode("utf-8", "replace")


def _image_ids(paths: Sequence[Path]) -> list[int]:
    """The numbers that the files are called by, as COCO's are, where each is called by another; else 1, 2 and so on."""
    stems = [path.stem for path in paths]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdigit()]
    if len(set(numbers)) == len(stems):
        return numbers
    return list(range(1, len(stems) + 1))
