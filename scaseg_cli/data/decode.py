"""Opens image files and turns every failure into a `ScasegError`."""

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
    """Open the image at ``path``. Size and mode are known at once; pixels are decoded when they are accessed.

    Args:
        path: the file.
        what: the role of the file, for the error message ("label map").

    Raises:
        ScasegError: the file is missing, truncated or not an image; raised here or when the block decodes it.
    """
    if not path.is_file():
        raise ScasegError(f"the {what} {path} does not exist", "Check the folders under `data` in the recipe.")
    try:
        with Image.open(path) as image:
            yield image
    # Pillow raises any of these for a broken file.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ScasegError(
            f"the {what} {path} cannot be read: {error}", "The file may be truncated: download or regenerate it."
        ) from error
