"""Converts any opened image to the RGB that the network takes: one way for training, evaluation and predict.

16-bit grey values v become round(v * 255 / 65535); of 16-bit colours the upper 8 bits are taken. Transparent pixels are
composited on white. CMYK is converted without a colour profile. Of several frames the first is taken. An image is
turned by its EXIF orientation, as viewers show it, or is not, as in COCO's annotations; a TIFF always is.
Shapes: H W image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE = (255, 255, 255)
_ORIENTATION = 0x0112  # of EXIF
_SWAPS_SIDES = range(5, 9)
_LARGEST = 65_535


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation in the header of an opened image, 1..8; 1: as stored. Decodes no pixels."""
    if image.format == "TIFF":
        return 1  # Pillow always follows the orientation of a TIFF, which says how its pixels are stored
    value = Image.Image.getexif(image).get(_ORIENTATION, 1)  # a PNG's own method looks behind the pixels, too
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def size_of(image: Image.Image, turned: bool) -> tuple[int, int]:
    """W, H of the image that `rgb_of` makes."""
    swapped = turned and orientation_of(image) in _SWAPS_SIDES
    return (image.height, image.width) if swapped else image.size


def turn_hint(turned: bool) -> str:
    """The hint where a label has the size of its image with the other value of ``data.exif``."""
    fits, value = ("as stored", "ignore") if turned else ("turned by it", "turn")
    return f"The image has an EXIF orientation, and its label fits the image {fits}: set data.exif to {value}."


def rgb_of(image: Image.Image, name: str, turned: bool) -> NDArray[np.uint8]:
    """Convert an opened image, uint8 RGB [H, W, 3].

    Args:
        image: the image, whose file is open.
        name: its name in errors.
        turned: whether to turn it by its EXIF orientation.

    Raises:
        ScasegError: it has pixels without a known range.
    """
    if image.mode == "F":
        raise ScasegError(f"{name} has floating-point pixels, whose range is unknown", "Convert it to 8 or 16 bits.")
    shown = ImageOps.exif_transpose(image) if turned and orientation_of(image) != 1 else image
    if image.mode.startswith("I"):
        return _from_16_bits(shown, name)
    if shown.has_transparency_data:
        whole = shown.convert("RGBA")
        shown = Image.new("RGBA", whole.size, (*_WHITE, 255))
        shown.alpha_composite(whole)
    return np.array(shown.convert("RGB"))  # np.array, not asarray: the copy is writable


def _from_16_bits(image: Image.Image, name: str) -> NDArray[np.uint8]:
    values = np.array(image).astype(np.int64)
    if values.min() < 0 or values.max() > _LARGEST:
        raise ScasegError(
            f"{name} has 32-bit pixels from {values.min()} to {values.max()}; at most 16 bits can be read",
            "Convert it to 16 bits.",
        )
    grey = ((values * 255 + _LARGEST // 2) // _LARGEST).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
