"""Finds images that are in two lists: the same file, or files with the same bytes."""

from __future__ import annotations

import os
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import hash_file
from scaseg_cli.split.lists import PARTS, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scaseg_cli.data.records import LabelledSet

_END = 4096  # bytes compared before a file is read whole
SamePairs = dict[tuple[Part, Part], list[tuple[Path, Path]]]


def images_in_two_parts(sets: Mapping[Part, LabelledSet], sizes: Mapping[Part, Sequence[int]]) -> SamePairs:
    """Find the images that are in two of the lists.

    Args:
        sets: the lists.
        sizes: the bytes of each image's file, in the order of its list.

    Raises:
        ScasegError: an image cannot be read.
    """
    files = {part: dict(zip(_paths(sets[part]), sizes[part], strict=True)) for part in PARTS}
    found = {(one, other): same_files(files[one], files[other]) for one, other in combinations(PARTS, 2)}
    return {parts: pairs for parts, pairs in found.items() if pairs}


def names_of(pairs: list[tuple[Path, Path]]) -> list[list[str]]:
    """The pairs as a JSON value."""
    return [[str(one), str(other)] for one, other in pairs]


def _paths(labelled: LabelledSet) -> list[str]:
    folder = str(labelled.images_dir.resolve())
    return [f"{folder}/{record.file_name}" for record in labelled.images]


def sizes_of(paths: Iterable[str]) -> dict[str, int]:
    """The size of each file in bytes. Text is several times faster than `Path` here.

    Raises:
        ScasegError: a file cannot be read.
    """
    sizes = {}
    for path in paths:
        try:
            sizes[path] = os.stat(path).st_size
        except OSError as error:
            raise _unreadable(path, error) from error
    return sizes


def same_files(ones: Mapping[str, int], others: Mapping[str, int]) -> list[tuple[Path, Path]]:
    """Find the files of ``others`` that are in ``ones``, or have the bytes of a file there; pairs of both.

    Only files of one size can have the same bytes. Of those the last 4 KB are compared first, and a file is read whole
    only where they agree, so COCO's 123,287 images cost little more than asking for their sizes.

    Args:
        ones: files and their sizes.
        others: more of them.

    Raises:
        ScasegError: a file cannot be read.
    """
    by_size: dict[int, list[str]] = {size: [] for size in others.values()}
    for path, size in ones.items():
        if size in by_size:
            by_size[size].append(path)
    end, whole = cache(_end), cache(_hash)
    found = []
    for other, size in others.items():
        if other in ones:
            found.append((other, other))
            continue
        match = next((one for one in by_size[size] if end(one) == end(other) and whole(one) == whole(other)), None)
        if match is not None:
            found.append((match, other))
    return [(Path(one), Path(other)) for one, other in found]


def _hash(path: str) -> str:
    return hash_file(Path(path))


def _end(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.stat(path).st_size - _END))
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> ScasegError:
    return ScasegError(f"the image {path} cannot be read: {error.strerror}", "Check the file and its permissions.")
