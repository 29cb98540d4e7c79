"""Scans every label map of a set once, on all cores: COCO train has 118,287 of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.decode import opened
from scaseg_cli.data.label_maps import count_values, digest_of, read_map
from scaseg_cli.data.pixels import size_of, turn_hint
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.processes import spread
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.data.map_pairs import Pair
    from scaseg_cli.data.records import LabelledSet

_CHUNK = 50  # label maps per task: under 0.1 s at COCO's size, so that Ctrl-C takes effect soon
_A_PROCESS = 2000  # label maps that justify starting one more process


class MapContent(NamedTuple):
    """The contents of one label map: its size in pixels, the number of pixels of each value, and its `digest_of`."""

    width: int
    height: int
    counts: dict[int, int]
    digest: str


def scan_label_maps(
    labelled: LabelledSet, pairs: Sequence[Pair], description: str, processes: int | None = None
) -> list[MapContent | ScasegError]:
    """Scan all label maps and return their contents in the order of ``pairs``, or the error for a bad file.

    Args:
        labelled: the folders, of whose images only the size is read, and the table of colours, if any.
        pairs: their file names.
        description: text of the progress bar.
        processes: number of processes; None chooses by cores and set size. The result does not depend on it.

    Raises:
        ScasegError: a worker process was killed.
    """
    if processes is None:
        processes = max(1, min(num_cores(), len(pairs) // _A_PROCESS))
    chunks = [pairs[first : first + _CHUNK] for first in range(0, len(pairs), _CHUNK)]
    with spread(processes, "scanned label maps") as mapped:
        scanned = mapped(partial(_scan_chunk, replace(labelled, images=(), categories=())), chunks)
        return list(track(chain.from_iterable(scanned), description, len(pairs)))


def _scan_chunk(labelled: LabelledSet, pairs: Sequence[Pair]) -> list[MapContent | ScasegError]:
    return [_scan_map(labelled, pair) for pair in pairs]


def _scan_map(labelled: LabelledSet, pair: Pair) -> MapContent | ScasegError:
    image_path, turned = labelled.images_dir / pair.image, labelled.turned
    try:
        with opened(image_path, "image") as image:
            width, height = size_of(image, turned)
            hints = {size_of(image, not turned): turn_hint(turned)}
        values_HW = read_map(
            labelled.labels_dir / pair.label, (width, height), f"its image {image_path}", labelled.colours, hints
        )
    except ScasegError as error:  # collected: all errors are reported together
        return error
    return MapContent(width, height, count_values(values_HW), digest_of(values_HW))
