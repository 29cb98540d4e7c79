"""The key of the results that a picture shows, in the picture's file.

A picture outlives the weights that made it. With the key in it, a reader can tell pictures of other weights apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from PIL import Image

KEY = "scaseg-key"  # of the evaluation: a hash of everything that its results depend on


def png_key(key: str) -> PngInfo:
    """Make the text chunk of a PNG that holds ``key``."""
    info = PngInfo()
    info.add_text(KEY, key)
    return info


def key_of(image: Image.Image) -> str | None:
    """Return the key in a PNG that was opened, or None if it has none."""
    found = image.info.get(KEY)
    return found if isinstance(found, str) else None
