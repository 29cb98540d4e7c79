"""Reading of any image file as the RGB that the network takes.

Photographs are rotated as their EXIF orientation says, as viewers show them. COCO's images are not, since their
annotations ignore EXIF. Shapes: H W image.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from scaseg_cli.data.decode import open_image
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_WHITE = (255, 255, 255)


def read_any_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as a viewer shows it, uint8 RGB [H, W, 3].

    The image is rotated by its EXIF orientation. 16-bit pixels are scaled to 8 bits, not clipped. Transparent pixels
    are composited on white. CMYK is converted without a colour profile. Only the first of several frames is read.

    Raises:
        ScasegError: the file is missing, not an image, truncated, too large, or has pixels without a known range.
    """
    if not path.is_file():
        raise ScasegError(f"{path} is {'not a file' if path.exists() else 'missing'}")
    with _explained(str(path)), open_image(path) as image:
        return _as_rgb(image, str(path))


def rgb_of(image: Image.Image) -> NDArray[np.uint8]:
    """Convert a Pillow image as `read_any_image` would its file, uint8 RGB [H, W, 3]; errors name its file, if any.

    Raises:
        ScasegError: the image is truncated, or has pixels without a known range.
    """
    name = str(getattr(image, "filename", "") or "the image")
    with _explained(name):
        return _as_rgb(image, name)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn Pillow's exceptions in the block into errors about the image ``name``."""
    try:
        yield
    except (ScasegError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ScasegError(f"{name} is not an image in a known format") from error
    except Exception as error:  # Pillow's readers raise nearly any exception for broken files
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ScasegError(f"{name} cannot be read as an image: {reason}") from error


def _as_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    mode = image.mode
    if mode == "F":
        raise ScasegError(f"{name} has floating-point pixels, whose range is unknown")
    if mode.startswith("I"):
        return _from_16_bits(image, name)
    turned = ImageOps.exif_transpose(image)
    if turned.has_transparency_data:
        whole = turned.convert("RGBA")
        turned = Image.new("RGBA", whole.size, (*_WHITE, 255))
        turned.alpha_composite(whole)
    return np.array(turned.convert("RGB"))


def _from_16_bits(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Grey values 0..65535 scaled to 0..255."""
    values = np.array(ImageOps.exif_transpose(image)).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise ScasegError(
            f"{name} has 32-bit pixels from {values.min()} to {values.max()}; at most 16 bits can be read"
        )
    grey = ((values * 255 + 32_767) // 65_535).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
