"""Images as a Python program has them: arrays, Pillow images, and files. Shapes: H W image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AnyPath: TypeAlias = str | os.PathLike[str]
AnyImage: TypeAlias = NDArray[np.uint8] | Image.Image | AnyPath


def read_all(images: Sequence[Any], many: bool) -> Iterator[tuple[None, NDArray[np.uint8]]]:
    for place, image in enumerate(images):
        yield None, pixels_of(image, f"images[{place}]" if many else "the image")


def pixels_of(image: Any, called: str) -> NDArray[np.uint8]:
    """The image as uint8 RGB [H, W, 3], a copy.

    Args:
        image: what `SegmentationModel.segment` takes.
        called: its name in errors.

    Raises:
        ScasegError: it cannot be read.
        ValueError: an array of another type or shape, or without pixels.
        TypeError: it is no image.
    """
    from scaseg_cli.data.images import read_image

    if isinstance(image, str | os.PathLike):
        return read_image(Path(image), turned=True)
    if isinstance(image, np.ndarray):
        return _checked(image, called)
    if isinstance(image, Image.Image):
        if not all(image.size):
            raise ValueError(f"{called} has no pixels: its size is {image.width} x {image.height}.")
        return _converted(image)
    kinds = "a uint8 array [H, W, 3] or [H, W], a Pillow image, or a path"
    raise TypeError(f"{called} is of type {type(image).__name__}, and must be {kinds}.")


def _converted(image: Image.Image) -> NDArray[np.uint8]:
    from scaseg_cli.data.decode import unreadable
    from scaseg_cli.data.pixels import rgb_of
    from scaseg_cli.errors import ScasegError

    name = str(getattr(image, "filename", "") or "the image")
    try:
        return rgb_of(image, name, turned=True)
    except (ScasegError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise nearly any exception for broken files
        raise unreadable(error, name) from error


def _checked(image: NDArray[Any], called: str) -> NDArray[np.uint8]:
    """An array as uint8 RGB [H, W, 3], a copy.

    Raises:
        ValueError: another type or shape, or no pixels.
    """
    if image.dtype != np.uint8:
        hint = " For values 0..1: (image * 255).round().astype(numpy.uint8)." if image.dtype.kind == "f" else ""
        raise ValueError(f"{called} has values of type {image.dtype}, and must have uint8, 0..255.{hint}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(
            f"{called} has shape {list(image.shape)}, and must have [H, W, 3] (RGB) or [H, W] (grayscale)."
        )
    if not image.size:
        raise ValueError(f"{called} has no pixels: its shape is {list(image.shape)}.")
    return np.array(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2), order="C")
