"""Text for pictures in Pillow's built-in font. Sizes and widths are in pixels."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

from PIL import ImageFont


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load the built-in font at a size."""
    return ImageFont.load_default(size=size)


def width_of(text: str, size: int) -> int:
    """Width of one line of ``text``."""
    return round(font(size).getlength(text))


def wrapped(text: str, width: int, size: int) -> list[str]:
    """Break ``text`` into lines of at most ``width`` pixels; a longer word gets its own line."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def shortened(text: str, width: int, size: int) -> str:
    """Shorten ``text`` to one line of at most ``width`` pixels, ending in dots if it was cut."""
    text = " ".join(text.split())
    if font(size).getlength(text) <= width:
        return text
    ends = range(1, len(text))
    fitting = bisect_left(ends, True, key=lambda end: font(size).getlength(f"{text[:end]}...") > width)
    return f"{text[:fitting]}..."
