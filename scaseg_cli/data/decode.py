"""Opens image files and turns every failure into a `ScasegError`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes of the image files that Pillow can read, in lower case and with their dot."""
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN)


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


def stored_bits(image: Image.Image) -> int:
    """Bits of each channel in the file of an image that `opened` yields, before its pixels are decoded.

    Pillow's mode does not tell: it decodes grey of 1 to 8 bits to 8, and colours of 16 bits to their upper 8.
    """
    stored = str(_raw_mode(image))
    found = re.search(r"(?<=[;A-Z])(\d+)", stored)
    if found is None:
        return 1 if image.mode == "1" else 8
    return int(found.group())


def _raw_mode(image: Image.Image) -> object:
    """Pillow's name of how the pixels are stored, such as L;4 or RGB;16B."""
    tiles = getattr(image, "tile", None) or [(None, None, None, image.mode)]
    arguments = tiles[0][3]
    return arguments[0] if isinstance(arguments, tuple) and arguments else arguments
