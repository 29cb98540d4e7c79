"""Draws an image, and segments over it, at the size of a cell.

Shapes: H W pixels of the image, h w pixels of its cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from scaseg_cli.drawing.tags import DARK, LIGHT, name_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.drawing.class_styles import ClassStyle, Colour

CELL = 256  # pixels; longer side of an image in a sheet
_STRENGTH = 0.75  # opacity of the class colour over the grey image
_PALE = 0.4, 105.0  # factor and offset of the grey image outside unseen segments
_PALED = 0.45, 125.0  # factor and offset of the photograph in areas without a segment
_HATCH, _LINE = 12, -28.0  # distance of the thin lines over such areas, and what they add to the photograph


@dataclass(frozen=True, eq=False)
class Region:
    """One segment: its pixels [H, W], its class, and whether it is wrong."""

    mask_HW: NDArray[np.bool_]
    style: ClassStyle
    wrong: bool = False


def draw_image(image_HW3: NDArray[np.uint8], cell: int = CELL) -> Image.Image:
    """Resize the image to a cell; small images are enlarged by a whole factor without smoothing."""
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
    """Draw the regions over the grey image, with unseen classes outlined in white.

    Where no region is, the photograph shows, paled and with thin lines. The outline of an unseen segment runs around
    it, not around what it encloses, and that of unseen stuff not along seen things.

    Args:
        image_HW3: the image.
        regions: its regions.
        cell: longer side of the drawing in pixels; an upper limit for small images.
        scale: magnification factor of names and lines.
        pale: show the image in pale grey outside all regions, without lines.
        legend: whether the sheet has a legend, see `name_regions`.
    """
    height, width = image_HW3.shape[:2]
    size = _cell_size(height, width, cell)
    shown = draw_image(image_HW3, cell)
    grey = np.asarray(shown.convert("L"), dtype=np.float32)[..., None]
    canvas = pale_grey(grey) if pale else paled(np.asarray(shown.convert("RGB")), scale)
    masks = [np.asarray(Image.fromarray(r.mask_HW).resize(size, Image.Resampling.NEAREST)) for r in regions]
    for region, mask in zip(regions, masks, strict=True):
        canvas[mask] = _STRENGTH * lifted(region.style.colour) + (1 - _STRENGTH) * grey[mask]
    pairs = list(zip(regions, masks, strict=True))
    things = [mask for region, mask in pairs if region.style.isthing and not region.style.unseen]
    seen_things = np.any(things, axis=0) if things else np.zeros((size[1], size[0]), bool)
    for region, mask in pairs:
        within = mask | seen_things if region.style.unseen and not region.style.isthing else mask
        outer, inner = _rims(mask, within, round(3 * scale) if region.style.unseen else 0, max(1, round(scale)))
        canvas[inner] = DARK
        canvas[outer] = LIGHT
    drawn = Image.fromarray(canvas.round().astype(np.uint8))
    named = [(mask, region.style, region.wrong) for mask, region in zip(masks, regions, strict=True)]
    name_regions(drawn, named, scale, legend)
    return drawn


def _cell_size(height: int, width: int, cell: int) -> tuple[int, int]:
    """Width and height at which an image fits its cell."""
    longest = max(height, width)
    factor = cell // longest if longest <= cell else cell / longest
    return max(1, round(factor * width)), max(1, round(factor * height))


def lifted(colour: Colour) -> NDArray[np.float64]:
    """Brighten the colour, at the same hue, until it differs clearly from black."""
    bright = max(*colour, 1)
    return np.array(colour) * ((70 + 0.72 * bright) / bright)


def paled(image_hw3: NDArray[np.uint8], scale: float = 1) -> NDArray[np.float64]:
    """Turn an image into the background [h, w, 3] of areas without a segment: paled, with thin slanted lines."""
    part, added = _PALED
    rows, columns = np.indices(image_hw3.shape[:2])
    lines_hw = (rows + columns) % round(_HATCH * scale) < max(1, round(scale))
    return part * image_hw3.astype(np.float64) + added + np.where(lines_hw, _LINE, 0.0)[..., None]


def pale_grey(grey_hw1: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn a grey image [h, w, 1] into a pale background [h, w, 3]."""
    part, added = _PALE
    return (part * grey_hw1.astype(np.float64) + added).repeat(3, axis=2)


def _rims(
    mask_hw: NDArray[np.bool_], within_hw: NDArray[np.bool_], light: int, dark: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """A mask's outer rim, at most ``light`` pixels wide, and its inner rim, ``dark`` pixels wide.

    On a thin segment the outer rim shrinks, down to one pixel, so that half of the segment stays visible. Where the
    mask meets the rest of ``within_hw``, or what it encloses, there is no rim.
    """
    edges = [_filled(within_hw)]
    for _ in range(light + dark):
        edges.append(_shrunk(edges[-1]))
    while light > 1 and 2 * (mask_hw & edges[light + dark]).sum() < mask_hw.sum():
        light -= 1
    return mask_hw & ~edges[light], mask_hw & edges[light] & ~edges[light + dark]


def _filled(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what a mask encloses: holes, and smaller parts that meet one side of the image alone."""
    _, parts_hw, boxes, _ = cv2.connectedComponentsWithStats((~mask_hw).astype(np.uint8), connectivity=4)
    left, top, across, down, area = np.asarray(boxes, np.int64).T
    height, width = mask_hw.shape
    sides = np.sum([left == 0, top == 0, left + across == width, top + down == height], axis=0)
    inside = (sides == 0) | ((sides == 1) & (area < mask_hw.sum()))
    inside[0] = True  # the mask itself
    return np.asarray(inside[parts_hw])


def _shrunk(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Erode the mask by one pixel (4-neighbourhood)."""
    framed = np.pad(mask_hw, 1)
    return mask_hw & framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
