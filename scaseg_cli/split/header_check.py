"""Reads the header of every image and every label of the lists, in several processes, before any training."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from scaseg_cli.data.images import HeaderKind, check_headers_of
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.processes import spread
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split.lists import Part

_CHUNK = 200  # images per task
_A_PROCESS = 4000  # images that justify starting one more process
_SHOWN = 20


class _Headers(NamedTuple):
    kinds: Counter[HeaderKind]
    errors: list[ScasegError]
    num_images: int


def check_headers(sets: Mapping[Part, LabelledSet], processes: int | None = None) -> dict[Part, Counter[HeaderKind]]:
    """Check size and kind of pixels of each image and label by their headers, and count unusual images.

    Args:
        sets: the lists.
        processes: their number; None chooses by cores and size. The result does not depend on it.

    Raises:
        ScasegError: images or labels cannot be read or have another size; counts all and names the first.
    """
    total = sum(len(labelled.images) for labelled in sets.values())
    if processes is None:
        processes = max(1, min(num_cores(), total // _A_PROCESS))
    kinds: dict[Part, Counter[HeaderKind]] = {part: Counter() for part in sets}
    errors: list[ScasegError] = []
    parts = [part for part, labelled in sets.items() for _ in range(0, len(labelled.images), _CHUNK)]
    with spread(processes, "read headers") as mapped:
        found = chain.from_iterable(
            mapped(
                partial(_check_chunk, replace(labelled, images=(), categories=())),
                [labelled.images[first : first + _CHUNK] for first in range(0, len(labelled.images), _CHUNK)],
            )
            for labelled in sets.values()
        )
        chunks = zip(parts, found, strict=True)
        images = ((part, place, chunk) for part, chunk in chunks for place in range(chunk.num_images))
        for part, place, chunk in track(images, "Checking headers", total):
            if place == 0:
                kinds[part] += chunk.kinds
                errors += chunk.errors
    if len(errors) == 1:
        raise errors[0]
    mistakes = Mistakes("the data", at_most=_SHOWN)
    for wrong in errors:
        mistakes.add(wrong.message)
    mistakes.stop_if_any(errors[0].hint or "" if errors else "")
    return kinds


def _check_chunk(labelled: LabelledSet, records: Sequence[ImageRecord]) -> _Headers:
    kinds: Counter[HeaderKind] = Counter()
    errors: list[ScasegError] = []
    for record in records:
        for result in check_headers_of(labelled, record):
            if isinstance(result, ScasegError):
                errors.append(result)
            else:
                kinds[result] += 1
    return _Headers(kinds, errors, len(records))
