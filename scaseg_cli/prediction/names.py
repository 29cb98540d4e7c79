"""Parsing of the class names that a user writes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scaseg_cli.data.class_names import names_in
from scaseg_cli.errors import ScasegError

Names = tuple[Sequence[str], Sequence[str]]  # of things and of stuff
EXAMPLE = 'Write things before a semicolon and stuff after it: "zebra, street lamp; grass, sky"'
# A name in quotes, which may contain commas and semicolons, or one without; then what follows it.
_ITEM = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,;]*?))\s*(,|;|$)""")


def parse_names(text: str) -> tuple[list[str], list[str]]:
    """Parse a list such as ``zebra, street lamp; grass`` into names of things and names of stuff.

    A class of several names is written in quotes or with bars: ``"person, individual", sky`` or
    ``person|individual, sky``. Either becomes ``person, individual``, as such a name is in data.

    Raises:
        ScasegError: the list has no name, more than one semicolon, or a quote without an end.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ScasegError(f"the list of classes {text!r:.80} is not UTF-8 text", EXAMPLE)
    parts: list[list[str]] = [[]]
    place, mark = 0, ","
    while mark:
        found = _ITEM.match(text, place)
        if found is None or (found[3] or "").startswith('"'):
            raise ScasegError(f"the list of classes {text!r} has a quote that does not end before a comma", EXAMPLE)
        if name := tidy(found[1] or found[2] or found[3] or ""):
            parts[-1].append(name)
        place, mark = found.end(), found[4]
        if mark == ";":
            parts.append([])
    if len(parts) > 2:
        raise ScasegError(f"the list of classes {text!r} has {len(parts) - 1} semicolons", EXAMPLE)
    things, stuff = [*parts, []][:2]
    if not things and not stuff:
        raise ScasegError(f"the list of classes {text!r} names no class", EXAMPLE)
    return things, stuff


def tidy(name: str) -> str:
    """Return the names of a class with a comma between two names, and single spaces between words."""
    return ", ".join(filter(None, names_in(name)))
