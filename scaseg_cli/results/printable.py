"""Text from files as a terminal may get it: names must not move its cursor, change it, or reorder its lines."""

from __future__ import annotations

import re

# Control characters but tab and line end, other line ends, marks of writing direction, and halves of characters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""``text`` with control characters as escapes, such as ``\x1b``; tabs and line ends stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_json(text: str) -> str:
    r"""A JSON document with control characters as JSON's escapes, such as ``\u009b``; its value is the same."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
