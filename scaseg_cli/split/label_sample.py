"""Checks the pixels of a few panoptic PNGs of each list, before hours of training start."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

from scaseg_cli.data.images import read_label
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split.lists import Part

NUM_CHECKED = 20  # per list, unless the user sets another number


def check_label_sample(sets: Mapping[Part, LabelledSet], number: int) -> None:
    """Read ``number`` panoptic PNGs of each set. Label maps are skipped: the split reads all of them anyway.

    Raises:
        ScasegError: some PNGs cannot be read, differ in size from their image, or differ in segments from the
            annotation file; names all of them.
    """
    sample = [
        (labelled, record)
        for labelled in sets.values()
        if labelled.map_values is None
        for record in spread_sample(labelled.images, number)
    ]
    errors = []
    for labelled, record in track(sample, "Checking panoptic PNGs", len(sample)):
        try:
            read_label(labelled, record)
        except ScasegError as error:  # collected: all errors are reported together
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    mistakes = Mistakes(f"the sample of {len(sample)} panoptic PNGs", at_most=len(sample))
    for wrong in errors:
        mistakes.add(wrong.message.replace(":\n  ", ": ").replace("\n  ", "; "))
    mistakes.stop_if_any("Download or regenerate them together with their annotation file.")


def spread_sample(records: tuple[ImageRecord, ...], number: int) -> list[ImageRecord]:
    """Pick up to ``number`` records: one at random from each of ``number`` equal parts of the list.

    The same list gives the same sample, so that a rejected PNG is checked again.
    """
    number = min(number, len(records))
    edges = [place * len(records) // number for place in range(number + 1)] if number else []
    return [records[first + _drawn(first) % (end - first)] for first, end in pairwise(edges)]


def _drawn(place: int) -> int:
    return int.from_bytes(hashlib.sha256(f"label {place}".encode()).digest()[:8], "big")
