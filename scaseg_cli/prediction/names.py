"""Parsing of the class names that a user writes."""

from __future__ import annotations

from scaseg_cli.errors import ScasegError

EXAMPLE = 'Write things before a semicolon and stuff after it: --classes "zebra, street lamp; grass, sky"'


def parse_names(text: str) -> tuple[list[str], list[str]]:
    """Parse a list such as ``zebra, street lamp; grass`` into names of things and names of stuff.

    Raises:
        ScasegError: the list has no name, or more than one semicolon.
    """
    parts = text.split(";")
    if len(parts) > 2:
        raise ScasegError(f"--classes {text!r} has {len(parts) - 1} semicolons", EXAMPLE)
    things, stuff = ([" ".join(name.split()) for name in part.split(",") if name.strip()] for part in [*parts, ""][:2])
    if not things and not stuff:
        raise ScasegError(f"--classes {text!r} names no class", EXAMPLE)
    return things, stuff
