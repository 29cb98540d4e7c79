"""Any image that a person may have, as the RGB that the network takes.

Unlike COCO's images, whose annotations ignore it, a photograph is turned as its EXIF entry says: that is how its owner
sees it. Shapes: H W image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_WHITE = (255, 255, 255)


def read_any_image(path: Path) -> NDArray[np.uint8]:
    """The image as a person sees it, uint8 RGB [H, W, 3].

    Turned by its EXIF entry; grey and 16-bit pixels are brought to 8 bits by scale, not cut; transparent pixels are
    laid on white; CMYK without a colour profile. Of several frames the first.

    Raises:
        ScasegError: missing, no image, cut short, too large, or of pixels without a known range.
    """
    if not path.is_file():
        raise ScasegError(f"{path} is {'no file' if path.exists() else 'not there'}")
    try:
        with Image.open(path) as image:
            return _as_rgb(image)
    except ScasegError:
        raise
    except Image.DecompressionBombError as error:
        raise ScasegError(f"{path} is too large: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise ScasegError(f"{path} is no image of a known kind") from error
    except Exception as error:  # Pillow's readers raise nearly every kind for broken files
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ScasegError(f"{path} cannot be read as an image: {reason}") from error


def _as_rgb(image: Image.Image) -> NDArray[np.uint8]:
    mode = image.mode
    if mode == "F":
        raise ScasegError(f"{image.filename} has pixels of floating point, whose range is not known")  # type: ignore[attr-defined]
    if mode.startswith("I"):
        return _from_16_bits(image)
    turned = ImageOps.exif_transpose(image)
    if turned.has_transparency_data:
        whole = turned.convert("RGBA")
        turned = Image.new("RGBA", whole.size, (*_WHITE, 255))
        turned.alpha_composite(whole)
    return np.array(turned.convert("RGB"))


def _from_16_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Grey values 0..65535 as 0..255."""
    values = np.array(ImageOps.exif_transpose(image)).astype(np.int64)
    if values.min() < 0 or values.max() > 65_535:
        raise ScasegError(
            f"{image.filename} has pixels of 32 bits, from {values.min()} to {values.max()}; 16 bits are read"  # type: ignore[attr-defined]
        )
    grey = ((values * 255 + 32_767) // 65_535).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
