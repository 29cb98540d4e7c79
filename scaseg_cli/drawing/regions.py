"""An image, and the segments over it, at the size of a cell.

Shapes: H W pixels of the image, h w of the cell it is shown in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from scaseg_cli.drawing.tags import DARK, LIGHT, name_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.drawing.class_styles import ClassStyle, Colour

CELL = 256  # pixels, the longer side of an image in a sheet
_STRENGTH = 0.75  # of a class's colour over the image's grey
_HATCH, _NOTHING = 6, (60.0, 100.0)  # width and greys of the stripes where there is no segment
_PALE = 0.4, 105.0  # how much of the image's grey is left where segments are not shown, and what is added


@dataclass(frozen=True, eq=False)
class Region:
    """One segment: its pixels [H, W], its class, and whether it is a mistake."""

    mask_HW: NDArray[np.bool_]
    style: ClassStyle
    wrong: bool = False


def draw_image(image_HW3: NDArray[np.uint8], cell: int = CELL) -> Image.Image:
    """The image at the size of a cell: small ones enlarged by a whole factor without smoothing."""
    height, width = image_HW3.shape[:2]
    size = _cell_size(height, width, cell)
    larger = size[0] >= width
    return Image.fromarray(image_HW3).resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def draw_regions(
    image_HW3: NDArray[np.uint8],
    regions: Sequence[Region],
    cell: int = CELL,
    scale: float = 1,
    pale: bool = False,
    legend: bool = False,
) -> Image.Image:
    """The regions over the grey image, unseen classes outlined in white.

    Args:
        image_HW3: the image.
        regions: of it.
        cell: the longer side, in pixels, of what is drawn; of a small image at most.
        scale: how many times larger than usual names and lines are.
        pale: where there is no region the image is left, in a pale grey; else it is hatched.
        legend: there is one, see `name_regions`.
    """
    height, width = image_HW3.shape[:2]
    size = _cell_size(height, width, cell)
    grey = np.asarray(draw_image(image_HW3, cell).convert("L"), dtype=np.float32)[..., None]
    canvas = pale_grey(grey) if pale else hatched(*size, scale)
    masks = [np.asarray(Image.fromarray(r.mask_HW).resize(size, Image.Resampling.NEAREST)) for r in regions]
    for region, mask in zip(regions, masks, strict=True):
        canvas[mask] = _STRENGTH * lifted(region.style.colour) + (1 - _STRENGTH) * grey[mask]
    for region, mask in zip(regions, masks, strict=True):
        outer, inner = _rims(mask, round(3 * scale) if region.style.unseen else 0, max(1, round(scale)))
        canvas[inner] = DARK
        canvas[outer] = LIGHT
    drawn = Image.fromarray(canvas.round().astype(np.uint8))
    named = [(mask, region.style, region.wrong) for mask, region in zip(masks, regions, strict=True)]
    name_regions(drawn, named, scale, legend)
    return drawn


def _cell_size(height: int, width: int, cell: int) -> tuple[int, int]:
    """Width and height of an image in its cell."""
    longest = max(height, width)
    factor = cell // longest if longest <= cell else cell / longest
    return max(1, round(factor * width)), max(1, round(factor * height))


def lifted(colour: Colour) -> NDArray[np.float64]:
    """The colour, of the same hue and so bright that it can be told from black."""
    bright = max(*colour, 1)
    return np.array(colour) * ((70 + 0.72 * bright) / bright)


def hatched(width: int, height: int, scale: float = 1) -> NDArray[np.float64]:
    """Grey stripes [height, width, 3], for where there is no segment."""
    rows, columns = np.indices((height, width))
    return np.where((rows + columns) // round(_HATCH * scale) % 2, *_NOTHING)[..., None].repeat(3, axis=2)


def pale_grey(grey_hw1: NDArray[np.floating]) -> NDArray[np.float64]:
    """A grey image [h, w, 1] as a pale ground [h, w, 3] for what is shown on it."""
    part, added = _PALE
    return (part * grey_hw1.astype(np.float64) + added).repeat(3, axis=2)


def _rims(mask_hw: NDArray[np.bool_], light: int, dark: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A mask's outer rim of at most ``light`` pixels' width, and the inner one of ``dark`` pixels.

    The outer rim of a thin segment is narrower, so that half of the segment shows, but it has one pixel.
    """
    edges = [mask_hw]
    for _ in range(light + dark):
        edges.append(_shrunk(edges[-1]))
    while light > 1 and 2 * edges[light + dark].sum() < mask_hw.sum():
        light -= 1
    return mask_hw & ~edges[light], edges[light] & ~edges[light + dark]


def _shrunk(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its pixels that have a neighbour, in their row or column, outside it."""
    framed = np.pad(mask_hw, 1)
    return mask_hw & framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
