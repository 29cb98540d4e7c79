"""Compares one image's label PNG with its predicted PNG, and checks both against their JSON.

What is wrong with a prediction is a problem of its own, as in panopticapi: a segment without a pixel, or pixels of no
segment. What is wrong with a label is counted as panopticapi counts it: a listed segment without a pixel is missed, and
pixels of no listed segment are labelled, though of no class. Shapes: G labelled segments, S predicted segments.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scaseg_cli.data.segment_png import OPAQUE, CodeReader, one_thread_a_call, silent_decoder
from scaseg_cli.errors import ScasegError
from scaseg_cli.measures.shared_pixels import Scratch, shared_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.measures.shared_pixels import Shared

_NOTHING = 256**3 - 1  # the id that -1 becomes in RGB
_SHOWN = 5  # ids to name
_NO_PIXELS: list[list[int]] = []


class PngPair(NamedTuple):
    """What the comparison of one image needs, in types that are quick to send to another process.

    Attributes:
        label: path of the label PNG.
        prediction: path of the predicted PNG.
        width: W of both, in pixels.
        height: H of both, in pixels.
        label_ids: [G], the ids of the labelled segments.
        prediction_ids: [S], the ids of the predicted segments.
    """

    label: str
    prediction: str
    width: int
    height: int
    label_ids: tuple[int, ...]
    prediction_ids: tuple[int, ...]


class Compared(NamedTuple):
    """The comparison of one image's two PNGs.

    Attributes:
        areas: [1 + G + 1], pixels of void, of each labelled segment, and of labels that the JSON does not list.
        pixels: [S][1 + G + 1], pixels that each predicted segment shares with these; empty if there are problems.
        problems: descriptions of what is wrong with the prediction.
        label_problems: descriptions of what is wrong with the label.
        missing_labels: listed labelled segments without a pixel.
        stray_labels: ids in the label PNG that its JSON does not list.
        is_swapped: whether R and B are swapped in the predicted PNG.
        has_minus_one: whether the predicted PNG has -1, written as 16777215, for pixels of no segment.
    """

    areas: list[int]
    pixels: list[list[int]]
    problems: list[str]
    label_problems: list[str]
    missing_labels: int = 0
    stray_labels: int = 0
    is_swapped: bool = False
    has_minus_one: bool = False


class Comparer:
    """Compares images one after another, with arrays that are reused."""

    def __init__(self) -> None:
        self._prediction, self._label, self._scratch = CodeReader(), CodeReader(), Scratch(table_bits=24)

    def compare(self, pair: PngPair) -> Compared:
        """Read and compare one image's two PNGs; mistakes are returned, not raised."""
        maps: list[NDArray[np.uint32]] = []
        problems: list[list[str]] = []
        for reader, path in ((self._prediction, pair.prediction), (self._label, pair.label)):
            problems.append([])
            try:
                maps.append(reader.read(path, pair.width, pair.height).reshape(-1))
            except ScasegError as error:
                problems[-1].append(error.message)
        if len(maps) < 2:
            return Compared([], _NO_PIXELS, problems[0], problems[1])
        label_codes = _codes([0, *pair.label_ids])
        void = _NOTHING if 0 in pair.prediction_ids else 0  # an id 0 that is listed is a segment, as in panopticapi
        codes = _codes([void, *pair.prediction_ids])
        shared = shared_pixels(maps[0], codes, maps[1], label_codes, self._scratch)
        strays, is_swapped = _listed_strays(shared), False
        if strays and (swapped := _swapped(pair.prediction_ids, codes, strays, shared)) is not None:
            shared = shared_pixels(maps[0], swapped, maps[1], label_codes, self._scratch)
            strays, is_swapped = _listed_strays(shared), True
        areas = shared.pixels.sum(axis=0).tolist()
        pixels = shared.pixels.tolist()
        return Compared(
            areas,
            pixels[1:],
            _disagreements(pair, pixels[1:], strays),
            [],
            areas[1:-1].count(0),
            len(shared.stray_label),
            is_swapped,
            len(shared.stray_prediction) > len(strays) or (void == _NOTHING and any(pixels[0])),
        )


class _Own(threading.local):
    """The arrays of each thread; new ones for each task would cost as much as four images."""

    def __init__(self) -> None:
        self.comparer = Comparer()


_own = _Own()


def compare_all(pairs: Sequence[PngPair | None]) -> list[Compared | None]:
    """Compare some images; None for one without a prediction."""
    compare = _own.comparer.compare
    with one_thread_a_call(), silent_decoder():
        return [compare(pair) if pair is not None else None for pair in pairs]


def _codes(ids: Sequence[int]) -> NDArray[np.uint32]:
    """The codes of these ids in a panoptic PNG."""
    codes = np.array(ids, dtype=np.uint32)
    codes += np.uint32(OPAQUE)
    return codes


def _listed_strays(shared: Shared) -> list[int]:
    """The ids of predicted pixels that the JSON does not list, without -1, which means no segment."""
    return [code - OPAQUE for code in shared.stray_prediction if code - OPAQUE != _NOTHING]


def _swapped(
    ids: Sequence[int], codes: NDArray[np.uint32], strays: Sequence[int], shared: Shared
) -> NDArray[np.uint32] | None:
    """The codes with R and B swapped, if exactly these are in the PNG; else None."""
    in_png = set(strays) | set((codes[1:][shared.pixels[1:].any(axis=1)] - np.uint32(OPAQUE)).tolist())
    swapped = [swap(segment_id) for segment_id in ids]
    return _codes([int(codes[0]) - OPAQUE, *swapped]) if in_png == set(swapped) else None


def swap(segment_id: int) -> int:
    """The id whose colour has R and B swapped.

    >>> swap(1 + 2 * 256 + 3 * 65536) == 3 + 2 * 256 + 1 * 65536
    True
    """
    red, green, blue = segment_id & 255, segment_id >> 8 & 255, segment_id >> 16
    return blue + 256 * green + 65536 * red


def _disagreements(pair: PngPair, pixels: list[list[int]], strays: Sequence[int]) -> list[str]:
    """Segments that are in the predicted PNG or in its JSON, but not in both; ``pixels`` as in `Compared`."""
    missing = [segment_id for segment_id, row in zip(pair.prediction_ids, pixels, strict=True) if not any(row)]
    found = []
    if missing:
        found.append(f"{pair.prediction} has no pixel of segment{_listed(missing)} in its JSON")
    if strays:
        found.append(f"{pair.prediction} has pixels of segment{_listed(strays, 'not ')} in its JSON")
    return found


def _listed(ids: Sequence[int], no: str = "") -> str:
    """Some ids, and the verb for them.

    >>> _listed([3]), _listed([3, 4], "not ")
    (' 3, which is', 's 3, 4, which are not')
    """
    shown = ", ".join(map(str, ids[:_SHOWN])) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")
    return f"s {shown}, which are {no}".rstrip() if len(ids) > 1 else f" {shown}, which is {no}".rstrip()
