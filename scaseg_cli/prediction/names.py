"""The class names that a person writes."""

from __future__ import annotations

from scaseg_cli.errors import ScasegError

EXAMPLE = 'Things come before a semicolon, stuff after it: --classes "zebra, street lamp; grass, sky"'


def parse_names(text: str) -> tuple[list[str], list[str]]:
    """Names of things and of stuff in what a person wrote: ``zebra, street lamp; grass``.

    Raises:
        ScasegError: no name, or more than one semicolon.
    """
    parts = text.split(";")
    if len(parts) > 2:
        raise ScasegError(f"--classes {text!r} has {len(parts) - 1} semicolons", EXAMPLE)
    things, stuff = ([" ".join(name.split()) for name in part.split(",") if name.strip()] for part in [*parts, ""][:2])
    if not things and not stuff:
        raise ScasegError(f"--classes {text!r} names no class", EXAMPLE)
    return things, stuff
