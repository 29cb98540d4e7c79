"""The legend of a sheet: all classes with their colours, unseen ones first and outlined like their segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from scaseg_cli.drawing.class_styles import ClassStyle
from scaseg_cli.drawing.regions import lifted
from scaseg_cli.drawing.tags import DARK, LIGHT
from scaseg_cli.drawing.text import font, shortened, width_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIZE, _LINE = 13, 24  # font size of names, line height
_SWATCH = 28, 16
_INDENT = 64  # pixels reserved for "unseen" and "seen"
_INK = (25, 25, 25)

Item = tuple[ClassStyle, int, int]


def legend_height(styles: Sequence[ClassStyle], width: int, scale: int = 1) -> int:
    """Height of the legend in pixels; 0 without classes."""
    lines = sum(len(_lines(group, width, scale)) for _, group in _groups(styles))
    return (lines * _LINE + 8) * scale if lines else 0


def draw_legend(
    drawn: Image.Image, styles: Sequence[ClassStyle], corner: tuple[int, int], width: int, scale: int = 1
) -> None:
    """Draw the legend with its top left at ``corner``.

    Args:
        drawn: the image to draw on.
        styles: the classes; each group keeps their order.
        corner: left and top.
        width: available width in pixels.
        scale: magnification factor.
    """
    draw, (left, top) = ImageDraw.Draw(drawn), corner
    top += 8 * scale
    for heading, group in _groups(styles):
        draw.text((left, top + _LINE * scale // 2), heading, _INK, font(_SIZE * scale), anchor="lm")
        for line in _lines(group, width, scale):
            for style, start, room in line:
                _draw_item(draw, style, left + start, top + _LINE * scale // 2, room, scale)
            top += _LINE * scale


def _groups(styles: Sequence[ClassStyle]) -> Iterator[tuple[str, list[ClassStyle]]]:
    for heading, unseen in (("unseen", True), ("seen", False)):
        group = [style for style in styles if style.unseen == unseen]
        if group:
            yield heading, group


def _lines(group: Sequence[ClassStyle], width: int, scale: int) -> list[list[Item]]:
    """The items of each line: class, left edge, and width available for the name."""
    lines: list[list[Item]] = [[]]
    start = _INDENT * scale
    for style in group:
        taken = (_SWATCH[0] + 6) * scale
        room = min(width_of(style.name, _SIZE * scale), width - _INDENT * scale - taken)
        if lines[-1] and start + taken + room > width:
            lines.append([])
            start = _INDENT * scale
        lines[-1].append((style, start, room))
        start += taken + room + 20 * scale
    return lines


def _draw_item(draw: ImageDraw.ImageDraw, style: ClassStyle, left: int, middle: int, room: int, scale: int) -> None:
    """Draw a swatch, outlined like the segments of the class, and the name."""
    width, height = (part * scale for part in _SWATCH)
    colour = tuple(int(part) for part in lifted(style.colour))
    box = (left, middle - height // 2, left + width - 1, middle - height // 2 + height - 1)
    draw.rectangle(box, fill=DARK)
    if style.unseen:
        draw.rectangle(_inset(box, scale), fill=LIGHT)
    draw.rectangle(_inset(box, 3 * scale if style.unseen else scale), fill=colour)
    text = shortened(style.name, room, _SIZE * scale)
    draw.text((left + width + 6 * scale, middle), text, _INK, font(_SIZE * scale), anchor="lm")


def _inset(box: tuple[int, int, int, int], by: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return left + by, top + by, right - by, bottom - by
