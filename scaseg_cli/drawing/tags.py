"""Name tags on segments: dark on white for unseen classes, white on dark for seen ones, a red cross if wrong.

Shapes: h w pixels of a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scaseg_cli.drawing.class_styles import ClassStyle
from scaseg_cli.drawing.text import font, shortened, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

DARK, LIGHT = (25, 25, 25), (255, 255, 255)
_RED_ON_DARK, _RED_ON_LIGHT = (255, 130, 120), (200, 0, 0)
_BESIDE = 40  # maximum distance in pixels from a segment's centre to a name outside it
_CROSS = 11  # width in pixels of the cross before a wrong name
_SIZE, _HEIGHT = 12, 16  # font size of the name, height of its box

Named: TypeAlias = tuple[NDArray[np.bool_], ClassStyle, bool]


def name_regions(cell: Image.Image, regions: Sequence[Named], scale: float = 1, legend: bool = False) -> None:
    """Tag the regions, unseen classes and large regions first; seen classes without free space get no tag.

    Args:
        cell: the image to draw on.
        regions: mask [h, w], class, and whether it is wrong.
        scale: magnification factor of names.
        legend: whether the sheet has a legend. If so, a segment smaller than its tag gets no tag or only the cross,
            except that one segment of each unseen class is always named.
    """
    draw = ImageDraw.Draw(cell)
    taken_hw = np.zeros((cell.height, cell.width), dtype=bool)
    named: set[str] = set()
    for mask_hw, style, wrong in sorted(regions, key=lambda region: (not region[1].unseen, -int(region[0].sum()))):
        text = shortened(style.name, cell.width - round((8 + wrong * _CROSS) * scale), round(_SIZE * scale))
        must, least = style.unseen and not (legend and style.name in named), 0.5 if legend else 0.0
        for words in (text, "") if legend and wrong else (text,):
            width, height = tag_size(words, wrong, scale)
            if legend and not must and mask_hw.sum() < width * height:
                continue
            place = _best_place(mask_hw, taken_hw, (width, height), round(_BESIDE * scale), must, least)
            if place is not None:
                top, left = place
                taken_hw[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1] = True
                draw_tag(draw, (left, top), words, style.unseen, wrong, scale)
                named.add(style.name)
                break


def tag_size(text: str, wrong: bool, scale: float = 1) -> tuple[int, int]:
    """Width and height of a tag in pixels."""
    return width_of(text, round(_SIZE * scale)) + round((7 + wrong * _CROSS) * scale), round(_HEIGHT * scale)


def draw_tag(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, unseen: bool, wrong: bool, scale: float = 1
) -> None:
    """Draw a name on its background box, with the upper left corner at ``corner``."""
    (left, top), (width, height) = corner, tag_size(text, wrong, scale)
    ground, plain, red = (LIGHT, DARK, _RED_ON_LIGHT) if unseen else (DARK, LIGHT, _RED_ON_DARK)
    ink, middle = red if wrong else plain, top + height // 2
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=ground)
    if wrong:  # drawn as lines: the built-in font lacks the sign
        first, last, half = left + round(4 * scale), left + round(10 * scale), round(3 * scale)
        draw.line((first, middle - half, last, middle + half), ink, round(2 * scale))
        draw.line((first, middle + half, last, middle - half), ink, round(2 * scale))
    draw.text((left + round((4 + wrong * _CROSS) * scale), middle), text, ink, font(round(_SIZE * scale)), anchor="lm")


def _best_place(
    mask_hw: NDArray[np.bool_], taken_hw: NDArray[np.bool_], box: tuple[int, int], beside: int, must: bool, least: float
) -> tuple[int, int] | None:
    """Find top and left of a box near the mask's centre, as much on the mask as possible and off other boxes.

    Returns None if no place puts more than ``least`` of the box on the mask. With ``must`` the box may then be next to
    the mask, or else on other boxes, and None means that the mask is empty or the cell too small.
    """
    width, height = box
    if not mask_hw.any() or height > mask_hw.shape[0] or width > mask_hw.shape[1]:
        return None
    covered = _box_sums(mask_hw, width, height) / (width * height)
    free = _box_sums(taken_hw, width, height) == 0
    rows, columns = np.nonzero(mask_hw)
    tops, lefts = np.ogrid[: covered.shape[0], : covered.shape[1]]
    distance = np.hypot(tops + height / 2 - rows.mean(), lefts + width / 2 - columns.mean())
    choices = [(covered > least) & free]
    if must:
        choices += [(covered > 0) & free] if least else []
        choices += [(distance < beside) & free, covered > 0]
    possible = next((choice for choice in choices if choice.any()), None)
    if possible is None:
        return None
    score = np.where(possible, covered - distance / distance.max().clip(1) / 4, -np.inf)
    top, left = np.unravel_index(int(score.argmax()), score.shape)
    return int(top), int(left)


def _box_sums(mask_hw: NDArray[np.bool_], width: int, height: int) -> NDArray[np.int64]:
    """Number of mask pixels inside the box, for each top and left."""
    total = np.asarray(cv2.integral(mask_hw.astype(np.uint8)), np.int64)
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
