"""Reads the header of every image and every label of the lists, in several processes, before any training.

The same pass takes the digest of each list, on which the keys of later stages depend.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from scaseg_cli.data.images import HeaderKind, check_headers_of, file_marks
from scaseg_cli.data.mistakes import Mistakes
from scaseg_cli.data.prefetch import num_cores
from scaseg_cli.data.processes import spread
from scaseg_cli.data.records import Findings
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaseg_cli.data.records import ImageRecord, LabelledSet
    from scaseg_cli.split.lists import Part

_CHUNK = 200  # images per task
_A_PROCESS = 4000  # images that justify starting one more process
_SHOWN = 20


class Headers(NamedTuple):
    """What the headers of one list showed.

    Attributes:
        kinds: the number of images of each unusual kind.
        digest: of the list: names, sizes, segments and what tells whether a file was replaced (`file_marks`).
        sizes: the bytes of each image's file, in the order of the list.
    """

    kinds: Counter[HeaderKind]
    digest: str
    sizes: list[int]


class _Chunk(NamedTuple):
    kinds: Counter[HeaderKind]
    errors: list[ScasegError]
    num_images: int
    digest: bytes
    sizes: list[int]


def check_headers(sets: Mapping[Part, LabelledSet], processes: int | None = None) -> dict[Part, Headers]:
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
    digests = {part: _digest_of_labels(labelled) for part, labelled in sets.items()}
    sizes: dict[Part, list[int]] = {part: [] for part in sets}
    errors: list[ScasegError] = []
    parts = [part for part, labelled in sets.items() for _ in range(0, len(labelled.images), _CHUNK)]
    with spread(processes, "read headers") as mapped:
        found = chain.from_iterable(
            mapped(
                partial(_check_chunk, replace(labelled, images=(), categories=(), findings=Findings())),
                [labelled.images[first : first + _CHUNK] for first in range(0, len(labelled.images), _CHUNK)],
            )
            for labelled in sets.values()
        )
        chunks = zip(parts, found, strict=True)
        images = ((part, place, chunk) for part, chunk in chunks for place in range(chunk.num_images))
        for part, place, chunk in track(images, "Checking headers", total):
            if place == 0:
                kinds[part] += chunk.kinds
                digests[part].update(chunk.digest)
                sizes[part] += chunk.sizes
                errors += chunk.errors
    if len(errors) == 1:
        raise errors[0]
    mistakes = Mistakes("the data", at_most=_SHOWN)
    for wrong in errors:
        mistakes.add(wrong.message)
    mistakes.stop_if_any(errors[0].hint or "" if errors else "")
    return {part: Headers(kinds[part], digests[part].hexdigest(), sizes[part]) for part in sets}


def _digest_of_labels(labelled: LabelledSet) -> hashlib._Hash:
    """The beginning of a list's digest: what the values or colours of its label maps mean."""
    table = labelled.colours
    colours = None if table is None else (table.colours, table.category_ids)
    ids = [category.id for category in labelled.categories]
    meaning = None if labelled.map_values is None else (ids, labelled.map_values, labelled.ignored, colours)
    return hashlib.sha256(msgspec.json.encode(meaning))


def _check_chunk(labelled: LabelledSet, records: Sequence[ImageRecord]) -> _Chunk:
    kinds: Counter[HeaderKind] = Counter()
    errors: list[ScasegError] = []
    for record in records:
        for result in check_headers_of(labelled, record):
            if isinstance(result, ScasegError):
                errors.append(result)
            else:
                kinds[result] += 1
    if errors:
        return _Chunk(kinds, errors, len(records), b"", [])
    digest = hashlib.sha256(msgspec.msgpack.encode(records))
    digest.update(msgspec.msgpack.encode([file_marks(labelled, record) for record in records]))
    sizes = [os.stat(labelled.image_path(record)).st_size for record in records]
    return _Chunk(kinds, errors, len(records), digest.digest(), sizes)
