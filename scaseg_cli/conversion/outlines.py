"""Outlines of objects as COCO writes them: polygons, or run lengths as numbers or as text. Shapes: H W image.

Everything is checked before pycocotools sees it, since its compiled code trusts lengths and coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 1 << 28  # of an image; a larger one is a mistake in the file


class RunLengths(msgspec.Struct, gc=False):
    """A mask as run lengths: ``size`` is height and width, ``counts`` a list or COCO's compressed text."""

    size: tuple[int, int]
    counts: str | list[int]


Outline = list[list[float]] | RunLengths  # polygons are x, y, x, y, ...


def problem_of(outline: Outline, width: int, height: int) -> str | None:
    """Describe what is wrong with an outline in an image of this size; None if nothing is."""
    if isinstance(outline, RunLengths):
        if outline.size != (height, width):
            return f"its mask is {outline.size[1]} x {outline.size[0]} pixels, and the image {width} x {height}"
        lengths = numbers_in(outline.counts) if isinstance(outline.counts, str) else outline.counts
        if lengths is None:
            return "its run lengths are not COCO's compressed text"
        if min(lengths, default=0) < 0 or sum(lengths) != width * height:
            return f"its run lengths do not add up to {width * height} pixels"
        return None
    for polygon in outline:
        if len(polygon) < 6 or len(polygon) % 2:
            return f"a polygon has {len(polygon)} numbers; it needs an even number, at least 6"
        for values, size, axis in ((polygon[::2], width, "x"), (polygon[1::2], height, "y")):
            far = max(values, key=lambda value: abs(value - size / 2))
            if not -size <= far <= 2 * size:
                return f"a polygon has {axis} = {far:g}, far outside the image of {width} x {height}"
    return None


def numbers_in(text: str) -> list[int] | None:
    """Decode COCO's compressed run lengths; None if the text is not such.

    Each character holds five bits, the lowest first, and whether more follow. From the fourth number on, what
    is written is the difference to the number before the last.
    """
    numbers: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 60:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
        value = shift = 0
    return numbers if shift == 0 else None


def mask_of(outline: Outline, width: int, height: int) -> NDArray[np.bool_]:
    """Paint a checked outline, bool [H, W]."""
    if not isinstance(outline, RunLengths):
        encoded = coco_mask.merge(coco_mask.frPyObjects(outline, height, width))
    else:
        numbers = numbers_in(outline.counts) if isinstance(outline.counts, str) else outline.counts
        encoded = coco_mask.frPyObjects({"size": [height, width], "counts": numbers}, height, width)
    return np.asarray(coco_mask.decode(encoded), dtype=bool)
