"""Opens image files with a limit of pixels, and turns every failure into a `ScasegError`.

Pillow's own limit is a number of pixels, which stops honest maps and slides. Here a file may announce as many pixels
as its bytes can hold.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import LFS_HINT, LFS_POINTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path

FREE_PIXELS = 2 * 89_478_485  # Pillow's limit for an error; below it, memory is not at risk
_PIXELS_PER_BYTE = 1_100  # deflate, the densest of the common ways, packs at most 1,032 bytes into one
_opening = Lock()  # Pillow's limit is a global


def check_announced(path: str | PathLike[str], size: tuple[int, int], num_bytes: int) -> None:
    """Check that a file of ``num_bytes`` can hold an image of ``size`` W, H, before memory for it is taken.

    Raises:
        ScasegError: it has too many pixels.
    """
    width, height = size
    if width * height > max(FREE_PIXELS, _PIXELS_PER_BYTE * num_bytes):
        raise ScasegError(
            f"{path} announces {width} x {height} pixels, more than {num_bytes} bytes can hold",
            "The file is damaged or not an image for this purpose: download or regenerate it.",
        )


def open_image(path: Path) -> Image.Image:
    """Open an image of any size that its bytes can hold; pixels are decoded when they are accessed.

    Raises:
        ScasegError: it announces more pixels than its bytes can hold.
        Exception: Pillow's readers raise nearly any exception for broken files.
    """
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    try:
        check_announced(path, image.size, path.stat().st_size)
    except BaseException:
        image.close()
        raise
    return image


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
        ScasegError: the file is missing, truncated, not an image, or announces more pixels than its bytes can hold;
            raised here or when the block decodes it.
    """
    if not os.path.isfile(path):  # Path.is_file raises for a name that is too long
        missing = "is not a file" if os.path.exists(path) else "does not exist"
        raise ScasegError(f"the {what} {path} {missing}", "Check the path, or the folders under `data` in the recipe.")
    try:
        with open_image(path) as image:
            yield image
    except (ScasegError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise nearly any exception for broken files
        if isinstance(error, UnidentifiedImageError) and _is_lfs_pointer(path):
            raise ScasegError(f"the {what} {path} is a pointer of Git LFS, not the file itself", LFS_HINT) from error
        raise unreadable(error, f"the {what} {path}") from error


def _is_lfs_pointer(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def unreadable(error: Exception, name: str) -> ScasegError:
    """Say in words what an exception of Pillow's readers means for the image ``name``."""
    if isinstance(error, UnidentifiedImageError):
        return ScasegError(
            f"{name} cannot be read: it is not an image in a known format",
            "The file is damaged: download or regenerate it.",
        )
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    is_short = "truncated" in reason.lower() or "end of" in reason.lower()
    hint = f"The file {'is truncated' if is_short else 'may be damaged'}: download or regenerate it."
    return ScasegError(f"{name} cannot be read: {reason}", hint)


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
