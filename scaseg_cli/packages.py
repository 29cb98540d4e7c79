"""Installed packages: weights that some carry (``package://NAME``), and imports that others need not do."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "package://"


def is_packaged(reference: str | None) -> bool:
    """Whether a recipe's value names an installed package."""
    return reference is not None and reference.startswith(PACKAGE)


def packaged_file(reference: str, pattern: str) -> Path:
    """Find the file of an installed package; nothing of the package is imported.

    Args:
        reference: ``package://NAME``, the name under which the package is installed.
        pattern: of the file's name, such as ``*.pth``.

    Raises:
        ScasegError: the package is not installed, or does not have exactly one such file.
    """
    name = reference.removeprefix(PACKAGE)
    try:
        files = metadata.files(name) or []
    except (metadata.PackageNotFoundError, ValueError) as error:  # ValueError: an empty name
        raise ScasegError(f"{reference}: no package {name!r} is installed", f"pip install {name}") from error
    found = sorted(str(file.locate()) for file in files if fnmatch(file.name, pattern))
    if len(found) != 1:
        raise ScasegError(
            f"{reference}: the package has {len(found)} files {pattern}, and one is needed",
            "Name the file itself by its path.",
        )
    return Path(found[0])


def existing(reference: str, pattern: str) -> Path | None:
    """The file of `packaged_file`, or None if there is none."""
    try:
        return packaged_file(reference, pattern)
    except ScasegError:
        return None


@contextmanager
def hidden(*packages: str) -> Iterator[None]:
    """Make ``packages`` unimportable while the block runs, except those that are already imported.

    A library that imports them if they are installed, for parts that are not used here, then starts without them.
    """
    fresh = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(fresh))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in fresh:
            del sys.modules[package]


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the block without Python's garbage collector.

    What modules create stays until the process ends. The collector would search all of it again and again while it
    grows, which takes a fifth of the time in which torch and mmdet are imported.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()  # later collections leave the modules out
            gc.enable()


def prepare_open_clip() -> None:
    """Import open_clip without transformers, whose import takes three seconds; only text towers of others use it."""
    with hidden("transformers"):
        import open_clip  # noqa: F401
