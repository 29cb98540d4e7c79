"""A look at the pixels of a few panoptic PNGs of each list, before hours are spent on them."""

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

NUM_CHECKED = 20  # of each list, unless a person asks for another number


def check_label_sample(sets: Mapping[Part, LabelledSet], number: int) -> None:
    """Read ``number`` panoptic PNGs of each set. Label maps are left out: the split reads all of them anyway.

    Raises:
        ScasegError: some cannot be read, are not of their image's size, or hold other segments than the annotation
            file names; tells all of them.
    """
    sample = [
        (labelled, record)
        for labelled in sets.values()
        if labelled.map_values is None
        for record in spread_sample(labelled.images, number)
    ]
    errors = []
    for labelled, record in track(sample, "Looking at panoptic PNGs", len(sample)):
        try:
            read_label(labelled, record)
        except ScasegError as error:  # the others are looked at too, and all are reported together
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    mistakes = Mistakes(f"the sample of {len(sample)} panoptic PNGs", at_most=len(sample))
    for wrong in errors:
        mistakes.add(wrong.message.replace(":\n  ", ": ").replace("\n  ", "; "))
    mistakes.stop_if_any("Fetch or make them again, with the annotation file that belongs to them.")


def spread_sample(records: tuple[ImageRecord, ...], number: int) -> list[ImageRecord]:
    """``number`` records, or all where there are fewer: one by chance out of each of as many equal parts of the list.

    The same list gives the same ones, so that a PNG that was refused is looked at again.
    """
    number = min(number, len(records))
    edges = [place * len(records) // number for place in range(number + 1)] if number else []
    return [records[first + _drawn(first) % (end - first)] for first, end in pairwise(edges)]


def _drawn(place: int) -> int:
    return int.from_bytes(hashlib.sha256(f"label {place}".encode()).digest()[:8], "big")
