"""The input images: files, folders, patterns, or a list on stdin; and the names of their results."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One input image.

    Attributes:
        path: its file, as the user named it.
        stem: unique stem of its result files' names.
        image_id: unique image id in COCO's format.
    """

    path: Path
    stem: str
    image_id: int


def find_sources(named: Sequence[str], listed: Iterable[str] = ()) -> list[Source]:
    """Find the input images, each once, in the order in which they are named.

    A file that does not exist is kept, so that it is reported together with the broken ones.

    Args:
        named: files, folders (their images, sorted by name, without subfolders), patterns (``*``, ``**``, ``?``,
            ``[]``; an existing file of that name takes precedence), or ``-`` for the files in ``listed``.
        listed: lines with one file each.

    Raises:
        ScasegError: no image was found.
    """
    paths: dict[str, Path] = {}
    for name in named:
        found = [Path(line.rstrip("\r\n")) for line in listed if line.strip()] if name == STDIN else _expanded(name)
        for path in found:
            paths.setdefault(real_path(path), path)
    if not paths:
        looked = ", ".join("stdin" if name == STDIN else name for name in named) or "nothing"
        raise ScasegError(
            f"there is no image to predict in {looked}",
            "Name image files, folders of images, or patterns; a pattern with ** includes subfolders.",
        )
    stems, image_ids = _stems(list(paths.values())), _image_ids(list(paths.values()))
    return [Source(*one) for one in zip(paths.values(), stems, image_ids, strict=True)]


def _expanded(name: str) -> list[Path]:
    path = Path(name)
    if os.path.isdir(path):  # Path's own methods raise for a name that is too long
        from scaseg_cli.data.decode import image_suffixes  # loads Pillow

        suffixes = image_suffixes()
        return sorted(item for item in path.iterdir() if item.suffix.lower() in suffixes and item.is_file())
    if os.path.exists(path) or not glob.has_magic(name):
        return [path]
    return [Path(item) for item in sorted(glob.glob(name, recursive=True)) if os.path.isfile(item)]


def _stems(paths: Sequence[Path]) -> list[str]:
    """The files' stems; if the results of two files would collide, the later one gets a number.

    Names that differ only in case count as equal, as on a case-insensitive file system.
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
    """Return the file names of an image's segment map and overlay."""
    return f"{stem}.png", f"{stem}-overlay.png"


def as_text(name: str) -> str:
    """Return a file name that JSON can hold; bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")


def _image_ids(paths: Sequence[Path]) -> list[int]:
    """The numbers in the files' names if every name is a distinct number, as in COCO; else 1, 2 and so on."""
    stems = [path.stem for path in paths]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdigit()]
    if len(set(numbers)) == len(stems):
        return numbers
    return list(range(1, len(stems) + 1))
