"""A sheet: rows of cells under titled columns, with a key to the markings and a legend of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from scaseg_cli.drawing.legend import draw_legend, legend_height
from scaseg_cli.drawing.regions import CELL, pale_grey, paled
from scaseg_cli.drawing.tags import draw_tag, tag_size
from scaseg_cli.drawing.text import font, shortened, width_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.drawing.class_styles import ClassStyle

_GAP, _MARGIN = 10, 18
_CAPTION_LINES = 4  # at most
_LEAST_WIDTH = 900  # pixels; the key fits into them
_PAPER, _INK, _FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)
_GREY = 128  # of the pale image sample in the key


class SheetRow(NamedTuple):
    """The captions below the first cells of a row, and its cells from left to right."""

    captions: Sequence[str]
    cells: Sequence[Image.Image]


@dataclass(frozen=True)
class Sheet:
    """The content of a sheet: rows of cells under titled columns.

    Attributes:
        title: the heading of the sheet.
        notes: sentences below the title; they are wrapped.
        columns: title and remark of each column.
        rows: the rows from top to bottom.
        legend: the classes named below the rows.
        cell: longer side of a cell in pixels.
        scale: magnification factor of text and gaps.
        pale: whether the cells are pale, see `draw_regions`; they then show only unseen classes.
    """

    title: str
    notes: Sequence[str]
    columns: Sequence[tuple[str, str]]
    rows: Sequence[SheetRow]
    legend: Sequence[ClassStyle] = ()
    cell: int = CELL
    scale: int = 1
    pale: bool = False

    @property
    def width(self) -> int:
        """Width of the sheet in pixels."""
        scale, number = self.scale, len(self.columns)
        cells = number * self.cell + (number - 1) * _GAP * scale
        return max(2 * _MARGIN * scale + cells, _LEAST_WIDTH * scale)


def draw_sheet(sheet: Sheet) -> Image.Image:
    """Draw the sheet."""
    scale = sheet.scale
    margin, inner = _MARGIN * scale, sheet.width - 2 * _MARGIN * scale
    lines = [line for note in sheet.notes for line in wrapped(note, inner, 14 * scale)]
    top = margin + (32 + 20 * len(lines) + 36 + 48) * scale
    heights = [
        max(cell.height for cell in row.cells) + (3 + 15 * _lines(sheet, row) + _GAP) * scale for row in sheet.rows
    ]
    below = legend_height(sheet.legend, inner, scale)
    drawn = Image.new("RGB", (sheet.width, top + sum(heights) + below + margin - _GAP * scale), _PAPER)
    draw = ImageDraw.Draw(drawn)
    draw.text((margin, margin), shortened(sheet.title, inner, 21 * scale), _INK, font(21 * scale))
    for i, line in enumerate(lines):
        draw.text((margin, margin + (32 + 20 * i) * scale), line, _INK, font(14 * scale))
    _draw_key(drawn, margin + (32 + 20 * len(lines) + 8) * scale, sheet)
    _draw_headings(draw, sheet, top)
    for row, height in zip(sheet.rows, heights, strict=True):
        _draw_row(drawn, sheet, row, top, height)
        top += height
    draw_legend(drawn, sheet.legend, (margin, top), inner, scale)
    return drawn


def _left(sheet: Sheet, column: int) -> int:
    return _MARGIN * sheet.scale + column * (sheet.cell + _GAP * sheet.scale)


def _draw_headings(draw: ImageDraw.ImageDraw, sheet: Sheet, top: int) -> None:
    scale = sheet.scale
    for i, (heading, remark) in enumerate(sheet.columns):
        left = _left(sheet, i)
        draw.text((left, top - 44 * scale), shortened(heading, sheet.cell, 17 * scale), _INK, font(17 * scale))
        draw.text((left, top - 22 * scale), shortened(remark, sheet.cell, 12 * scale), _FAINT, font(12 * scale))


def _draw_row(drawn: Image.Image, sheet: Sheet, row: SheetRow, top: int, height: int) -> None:
    scale = sheet.scale
    for i, cell in enumerate(row.cells):
        drawn.paste(cell, (_left(sheet, i), top))
    first = top + height - (2 + 15 * _lines(sheet, row) + _GAP) * scale
    for i, caption in enumerate(row.captions):
        for place, text in enumerate(_caption(sheet, caption)):
            below = _left(sheet, i), first + 15 * place * scale
            ImageDraw.Draw(drawn).text(below, text, _FAINT, font(11 * scale))


def _caption(sheet: Sheet, caption: str) -> list[str]:
    """The lines of a caption; a longer one is shortened."""
    *lines, last = wrapped(caption, sheet.cell, 11 * sheet.scale) or [""]
    if len(lines) >= _CAPTION_LINES:
        lines, last = lines[: _CAPTION_LINES - 1], " ".join([*lines[_CAPTION_LINES - 1 :], last])
    return [shortened(line, sheet.cell, 11 * sheet.scale) for line in (*lines, last)]


def _lines(sheet: Sheet, row: SheetRow) -> int:
    return max((len(_caption(sheet, caption)) for caption in row.captions), default=1)


def _draw_key(drawn: Image.Image, top: int, sheet: Sheet) -> None:
    draw, scale, left = ImageDraw.Draw(drawn), sheet.scale, _MARGIN * sheet.scale
    wrong_one = "wrong: matches no labelled segment of its class"
    signs = [(True, False, "unseen class, outlined in white"), (sheet.pale, True, wrong_one)]
    if not sheet.pale:
        signs.insert(1, (False, False, "seen class"))
    for unseen, wrong, meaning in signs:
        width, height = tag_size("name", wrong, scale)
        draw.rectangle((left - scale, top - scale, left + width + scale - 1, top + height + scale - 1), fill=_FAINT)
        draw_tag(draw, (left, top), "name", unseen, wrong, scale)
        left = _draw_meaning(draw, left + width, top, meaning, scale)
    size = 18 * scale, 34 * scale
    sample = pale_grey(np.full((*size, 1), _GREY)) if sheet.pale else paled(np.full((*size, 3), _GREY, np.uint8), scale)
    drawn.paste(Image.fromarray(sample.astype(np.uint8)), (left, top - scale))
    nothing = "no segment of an unseen class" if sheet.pale else "no segment"
    _draw_meaning(draw, left + 34 * scale, top, nothing, scale)


def _draw_meaning(draw: ImageDraw.ImageDraw, left: int, top: int, meaning: str, scale: int) -> int:
    """Explain the sign that ends at ``left``; returns the left edge of the next one."""
    draw.text((left + 6 * scale, top + 8 * scale), meaning, _INK, font(13 * scale), anchor="lm")
    return left + 6 * scale + width_of(meaning, 13 * scale) + 24 * scale
