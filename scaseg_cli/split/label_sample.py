"""Checks the pixels of a few panoptic PNGs of each list, before hours of training start."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scaseg_cli.data.images import read_differences
from scaseg_cli.data.label_tally import LabelTally
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split.lists import Part

_SHOWN = 20  # mistakes to name when all are read
NUM_CHECKED = 100  # per list, unless the user sets another number


class LabelCheck(NamedTuple):
    """What reading labels of one list showed.

    Attributes:
        num_read: labels that were read.
        empty: labels that lack a pixel of a listed segment, with these segments.
        unnamed: labels with pixels of a segment that is not listed, with these segments.
    """

    num_read: int
    empty: dict[str, list[int]]
    unnamed: dict[str, list[int]]

    @property
    def tally(self) -> LabelTally:
        """The counts."""
        num_empty = sum(map(len, self.empty.values()))
        return LabelTally(np.array([self.num_read, len(self.empty), num_empty, len(self.unnamed)], np.int64))


def check_label_sample(sets: Mapping[Part, LabelledSet], number: int | None) -> dict[Part, LabelCheck]:
    """Read ``number`` panoptic PNGs of each set, or all. Label maps are skipped: the split reads all of them anyway.

    Raises:
        ScasegError: some PNGs cannot be read or differ in size from their image, names all of them; or no PNG of a list
            has any of its segments.
    """
    sample = {
        part: labelled.images if number is None else spread_sample(labelled.images, number)
        for part, labelled in sets.items()
        if labelled.map_values is None
    }
    total = sum(map(len, sample.values()))
    items = [(part, record) for part, records in sample.items() for record in records]
    checks = {part: LabelCheck(len(records), {}, {}) for part, records in sample.items()}
    num_strange: Counter[Part] = Counter()
    errors = []
    for part, record in track(items, "Checking panoptic PNGs", total):
        try:
            empty, unnamed = read_differences(sets[part], record)
        except ScasegError as error:  # collected: all errors are reported together
            errors.append(error)
            continue
        num_strange[part] += bool(unnamed) and len(empty) == len(record.segments)
        for segment_ids, found in ((empty, checks[part].empty), (unnamed, checks[part].unnamed)):
            if segment_ids:
                found[record.label_name] = sorted(segment_ids)
    if len(errors) == 1:
        raise errors[0]
    mistakes = Mistakes(f"the sample of {total} panoptic PNGs", at_most=max(total, 1) if number else _SHOWN)
    for wrong in errors:
        mistakes.add(wrong.message)
    mistakes.stop_if_any("Download or regenerate them together with their annotation file.")
    for part, records in sample.items():
        if records and num_strange[part] == len(records):
            raise ScasegError(
                f"none of {len(records)} panoptic PNGs of {part} that were read, such as "
                f"{sets[part].label_path(records[0])}, has a pixel of its listed segments, but all have others",
                "They do not match: check the labels in the recipe, and that ids are R + 256 G + 65536 B.",
            )
    return checks


def spread_sample(records: tuple[ImageRecord, ...], number: int) -> list[ImageRecord]:
    """Pick up to ``number`` records: one at random from each of ``number`` equal parts of the list.

    The same list gives the same sample, so that a rejected PNG is checked again.
    """
    number = min(number, len(records))
    edges = [place * len(records) // number for place in range(number + 1)] if number else []
    return [records[first + _drawn(first) % (end - first)] for first, end in pairwise(edges)]


def _drawn(place: int) -> int:
    return int.from_bytes(hashlib.sha256(f"label {place}".encode()).digest()[:8], "big")
