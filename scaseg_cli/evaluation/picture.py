"""Panoptic segments as a person sees them: each in its class's colour, outlined and named, cells in a sheet.

Pillow draws, with its built-in font. Shapes: H W pixels of the image, h w of the cell it is shown in.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL = 256  # pixels, the longer side of an image in the sheet
_GAP, _MARGIN = 10, 18
_LEAST_WIDTH = 900  # pixels, in which the key has room
_PAPER, _INK, _FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)
_DARK, _LIGHT = (25, 25, 25), (255, 255, 255)
_RED_ON_DARK, _RED_ON_LIGHT = (255, 130, 120), (200, 0, 0)
_TONES = ((0.85, 0.95), (0.5, 0.85), (0.8, 0.6))  # saturation and value
_HUE_STEP = (
    0.7548777  # irrational, and with these tones the first forty classes lie further apart than by the golden one
)
_STRENGTH = 0.75  # of a class's colour over the image's grey
_HATCH, _NOTHING = 6, (60.0, 100.0)  # width and greys of the stripes where there is no segment
_BESIDE = 40  # pixels from a segment's middle to its name, at most, where the name does not lie on it
_CROSS = 11  # pixels that the cross before a wrong name takes

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassLook:
    """How a class is shown: its name, its colour, and whether training held it back."""

    name: str
    colour: Colour
    unseen: bool


@dataclass(frozen=True, eq=False)
class Region:
    """One segment: its pixels [H, W], its class, and whether it is a mistake."""

    mask_HW: NDArray[np.bool_]
    look: ClassLook
    wrong: bool = False


def palette_colour(class_id: int) -> Colour:
    """A colour for a class that has none of its own: a hue and a tone that neighbours do not share."""
    saturation, value = _TONES[class_id % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb(class_id * _HUE_STEP % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_image(image_HW3: NDArray[np.uint8], cell: int = CELL) -> Image.Image:
    """The image at the size of a cell: small ones enlarged by a whole factor without smoothing."""
    height, width = image_HW3.shape[:2]
    size = _cell_size(height, width, cell)
    larger = size[0] >= width
    return Image.fromarray(image_HW3).resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def draw_regions(image_HW3: NDArray[np.uint8], regions: Sequence[Region], cell: int = CELL) -> Image.Image:
    """The regions over the grey image; hatched where there is none, unseen classes outlined in white.

    ``cell`` is the longer side, in pixels, of what is drawn; of a small image at most.
    """
    height, width = image_HW3.shape[:2]
    size = _cell_size(height, width, cell)
    grey = np.asarray(draw_image(image_HW3, cell).convert("L"), dtype=np.float32)[..., None]
    canvas = _hatched(*size)
    masks = [np.asarray(Image.fromarray(r.mask_HW).resize(size, Image.Resampling.NEAREST)) for r in regions]
    for region, mask in zip(regions, masks, strict=True):
        canvas[mask] = _STRENGTH * _lifted(region.look.colour) + (1 - _STRENGTH) * grey[mask]
    for region, mask in zip(regions, masks, strict=True):
        canvas[_rim(mask, 4 if region.look.unseen else 1)] = _DARK
        if region.look.unseen:
            canvas[_rim(mask, 3)] = _LIGHT
    drawn = Image.fromarray(canvas.round().astype(np.uint8))
    _name_regions(drawn, regions, masks)
    return drawn


def draw_sheet(
    title: str,
    notes: Sequence[str],
    columns: Sequence[tuple[str, str]],
    rows: Sequence[tuple[str, Sequence[Image.Image]]],
) -> Image.Image:
    """Cells in rows under titled columns, with a key to what is drawn.

    Args:
        title: above all.
        notes: sentences below the title, broken into lines.
        columns: title and remark of each.
        rows: what stands below the first cell of each, and its cells from left to right.
    """
    width = max(2 * _MARGIN + len(columns) * (CELL + _GAP) - _GAP, _LEAST_WIDTH)
    lines = [line for note in notes for line in _wrapped(note, width - 2 * _MARGIN, 14)]
    top = _MARGIN + 32 + 20 * len(lines) + 36 + 48
    heights = [max(cell.height for cell in cells) + 18 + _GAP for _, cells in rows]
    sheet = Image.new("RGB", (width, top + sum(heights) + _MARGIN - _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), _shortened(title, width - 2 * _MARGIN, 21), _INK, _font(21))
    for i, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + 32 + 20 * i), line, _INK, _font(14))
    _draw_key(sheet, _MARGIN + 32 + 20 * len(lines) + 8)
    for i, (heading, remark) in enumerate(columns):
        left = _MARGIN + i * (CELL + _GAP)
        draw.text((left, top - 44), heading, _INK, _font(17))
        draw.text((left, top - 22), _shortened(remark, CELL, 12), _FAINT, _font(12))
    for (caption, cells), height in zip(rows, heights, strict=True):
        for i, cell in enumerate(cells):
            sheet.paste(cell, (_MARGIN + i * (CELL + _GAP), top))
        draw.text((_MARGIN, top + height - 17 - _GAP), _shortened(caption, width - 2 * _MARGIN, 11), _FAINT, _font(11))
        top += height
    return sheet


def _cell_size(height: int, width: int, cell: int) -> tuple[int, int]:
    """Width and height of an image in its cell."""
    longest = max(height, width)
    factor = cell // longest if longest <= cell else cell / longest
    return max(1, round(factor * width)), max(1, round(factor * height))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _lifted(colour: Colour) -> NDArray[np.float64]:
    """The colour, of the same hue and so bright that it can be told from black."""
    bright = max(*colour, 1)
    return np.array(colour) * ((70 + 0.72 * bright) / bright)


def _hatched(width: int, height: int) -> NDArray[np.float64]:
    """Grey stripes [height, width, 3], for where there is no segment."""
    rows, columns = np.indices((height, width))
    return np.where((rows + columns) // _HATCH % 2, *_NOTHING)[..., None].repeat(3, axis=2)


def _rim(mask_hw: NDArray[np.bool_], thickness: int) -> NDArray[np.bool_]:
    """The pixels of a mask that are less than ``thickness`` from its edge, by steps along rows and columns."""
    inner = mask_hw
    for _ in range(thickness):
        framed = np.pad(inner, 1)
        inner = inner & framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return mask_hw & ~inner


def _name_regions(cell: Image.Image, regions: Sequence[Region], masks: Sequence[NDArray[np.bool_]]) -> None:
    """Put a tag on each region, unseen classes and large ones first; seen ones that no room is left for stay bare."""
    draw = ImageDraw.Draw(cell)
    taken_hw = np.zeros((cell.height, cell.width), dtype=bool)
    order = sorted(range(len(regions)), key=lambda i: (not regions[i].look.unseen, -int(masks[i].sum())))
    for i in order:
        look = regions[i].look
        wrong = regions[i].wrong
        text = _shortened(look.name, cell.width - 8 - wrong * _CROSS, 12)
        width, height = _tag_size(text, wrong)
        place = _best_place(masks[i], taken_hw, width, height, must=look.unseen)
        if place is not None:
            top, left = place
            taken_hw[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1] = True
            _draw_tag(draw, (left, top), text, look.unseen, wrong)


def _best_place(
    mask_hw: NDArray[np.bool_], taken_hw: NDArray[np.bool_], width: int, height: int, must: bool
) -> tuple[int, int] | None:
    """Top and left of a box that lies on the mask as far as can be, near its middle, and on no other box.

    None where there is no such place. With ``must`` the box may then lie beside the mask, or else on other boxes; it
    is None only where the cell is too small.
    """
    if not mask_hw.any() or height > mask_hw.shape[0] or width > mask_hw.shape[1]:
        return None
    covered = _box_sums(mask_hw, width, height) / (width * height)
    free = _box_sums(taken_hw, width, height) == 0
    rows, columns = np.nonzero(mask_hw)
    tops, lefts = np.ogrid[: covered.shape[0], : covered.shape[1]]
    distance = np.hypot(tops + height / 2 - rows.mean(), lefts + width / 2 - columns.mean())
    choices = [(covered > 0) & free]
    if must:
        choices += [(distance < _BESIDE) & free, covered > 0]
    possible = next((choice for choice in choices if choice.any()), None)
    if possible is None:
        return None
    score = np.where(possible, covered - distance / distance.max().clip(1) / 4, -np.inf)
    top, left = np.unravel_index(int(score.argmax()), score.shape)
    return int(top), int(left)


def _box_sums(mask_hw: NDArray[np.bool_], width: int, height: int) -> NDArray[np.int64]:
    """How many pixels of the mask lie in the box at each top and left."""
    total = np.asarray(cv2.integral(mask_hw.astype(np.uint8)), np.int64)
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def _tag_size(text: str, wrong: bool) -> tuple[int, int]:
    return round(_font(12).getlength(text)) + 7 + wrong * _CROSS, 16


def _draw_tag(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, unseen: bool, wrong: bool) -> None:
    (left, top), (width, height) = corner, _tag_size(text, wrong)
    ground, plain, red = (_LIGHT, _DARK, _RED_ON_LIGHT) if unseen else (_DARK, _LIGHT, _RED_ON_DARK)
    ink, middle = red if wrong else plain, top + height // 2
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=ground)
    if wrong:  # by lines, since the built-in font has no such sign
        draw.line((left + 4, middle - 3, left + 10, middle + 3), ink, 2)
        draw.line((left + 4, middle + 3, left + 10, middle - 3), ink, 2)
    draw.text((left + 4 + wrong * _CROSS, middle), text, ink, _font(12), anchor="lm")


def _draw_key(sheet: Image.Image, top: int) -> None:
    draw, left = ImageDraw.Draw(sheet), _MARGIN
    for unseen, wrong, meaning in (
        (True, False, "unseen class, outlined in white"),
        (False, False, "seen class"),
        (False, True, "wrong: matches no labelled segment of its class"),
    ):
        width, height = _tag_size("name", wrong)
        draw.rectangle((left - 1, top - 1, left + width, top + height), fill=_FAINT)
        _draw_tag(draw, (left, top), "name", unseen, wrong)
        left = _draw_meaning(draw, left + width, top, meaning)
    sheet.paste(Image.fromarray(_hatched(34, 18).astype(np.uint8)), (left, top - 1))
    _draw_meaning(draw, left + 34, top, "no segment")


def _draw_meaning(draw: ImageDraw.ImageDraw, left: int, top: int, meaning: str) -> int:
    """Say what the sign that ends at ``left`` means; returns where the next one begins."""
    draw.text((left + 6, top + 8), meaning, _INK, _font(13), anchor="lm")
    return left + 6 + round(_font(13).getlength(meaning)) + 24


def _wrapped(text: str, width: int, size: int) -> list[str]:
    """``text`` in lines of at most ``width`` pixels; a longer word gets a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _shortened(text: str, width: int, size: int) -> str:
    """One line of ``text`` of at most ``width`` pixels, with dots where it was cut."""
    text = " ".join(text.split())
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."
