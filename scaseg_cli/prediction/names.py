"""Parsing of the class names that a user writes."""

from __future__ import annotations

from collections.abc import Sequence

from scaseg_cli.errors import ScasegError

Names = tuple[Sequence[str], Sequence[str]]  # of things and of stuff
EXAMPLE = 'Write things before a semicolon and stuff after it: "zebra, street lamp; grass, sky"'


def parse_names(text: str) -> tuple[list[str], list[str]]:
    """Parse a list such as ``zebra, street lamp; grass`` into names of things and names of stuff.

    Raises:
        ScasegError: the list has no name, or more than one semicolon.
    """
    parts = text.split(";")
    if len(parts) > 2:
        raise ScasegError(f"the list of classes {text!r} has {len(parts) - 1} semicolons", EXAMPLE)
    things, stuff = ([tidy(name) for name in part.split(",") if name.strip()] for part in [*parts, ""][:2])
    if not things and not stuff:
        raise ScasegError(f"the list of classes {text!r} names no class", EXAMPLE)
    return things, stuff


def tidy(name: str) -> str:
    """Return the name with single spaces between its words and none around them."""
    return " ".join(name.split())
