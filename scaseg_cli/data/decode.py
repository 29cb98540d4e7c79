"""Opening image files, with an error of ours for whatever may be wrong with one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened(path: Path, what: str) -> Iterator[Image.Image]:
    """The image in ``path``: its size and mode are known, its pixels are decoded when they are asked for.

    Args:
        path: the file.
        what: what the file is to the user, for the error ("label map").

    Raises:
        ScasegError: the file is missing, cut short, or not an image; here, or when the block decodes it.
    """
    if not path.is_file():
        raise ScasegError(f"the {what} {path} does not exist", "Check the folders under `data` in the recipe.")
    try:
        with Image.open(path) as image:
            yield image
    # Pillow reports broken files with all of these.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ScasegError(
            f"the {what} {path} cannot be read: {error}", "It may be cut short: fetch or make it again."
        ) from error
