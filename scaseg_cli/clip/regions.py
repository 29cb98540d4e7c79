"""CLIP's embeddings of the regions of an image, from masked crops or from its feature map.

Shapes: B images, K masks of an image, C embedding width, H W pixels, S side of CLIP's square, h w cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scaseg_cli.clip.model import ClipModel

# an image, uint8 RGB [H, W, 3], and its masks, bool [K, H, W]
Region = tuple["NDArray[np.uint8]", "NDArray[np.bool_]"]
_CALL, _PART = 32, 8  # crops in one call of the tower, which has one of four sizes: the last one is filled up


class MaskView(NamedTuple):
    """How CLIP sees a mask.

    Attributes:
        method: ``crops``: the part of the image around the mask; ``pooled``: the image's feature map under the mask.
        fill: of crops: what is outside the mask, CLIP's mean colour (``mean``) or the image itself (``none``).
        box: of crops: side of the square crop relative to the longer side of the mask's box.
    """

    method: Literal["crops", "pooled"]
    fill: Literal["mean", "none"] = "mean"
    box: float = 1.25


def region_embeddings(clip: ClipModel, view: MaskView, regions: Sequence[Region]) -> list[Tensor]:
    """Embed the masks of several images: unit embeddings, float32 [K, C] for each image, on the CPU.

    A mask without a pixel has the embedding 0.

    Args:
        clip: the frozen CLIP.
        view: how it sees a mask.
        regions: the images and their masks.
    """
    return _of_crops(clip, view, regions) if view.method == "crops" else [_of_map(clip, *region) for region in regions]


def _of_crops(clip: ClipModel, view: MaskView, regions: Sequence[Region]) -> list[Tensor]:
    pairs = [(image_HW3, mask_HW) for image_HW3, masks_KHW in regions for mask_HW in masks_KHW]
    squares = [crop_of(image_HW3, mask_HW, view, clip.mean_colour) for image_HW3, mask_HW in pairs]
    places = [place for place, square in enumerate(squares) if square is not None]
    f_nC = torch.zeros(len(squares), clip.dim)
    for first in range(0, len(places), _CALL):
        own = places[first : first + _CALL]
        inputs = clip.resized_each([square for place in own if (square := squares[place]) is not None])
        filled = torch.cat([inputs, inputs.new_zeros(-len(own) % _PART, *inputs.shape[1:])])
        f_nC[own] = clip.encode_image(filled)[: len(own)].cpu()
    return list(f_nC.split([len(masks_KHW) for _, masks_KHW in regions]))


def crop_of(
    image_HW3: NDArray[np.uint8], mask_HW: NDArray[np.bool_], view: MaskView, colour: tuple[float, float, float]
) -> NDArray[np.uint8] | None:
    """The square around a mask, uint8 RGB [side, side, 3]; None if the mask has no pixel.

    It has the middle of the mask's box; outside the image it has the colour. That it is a square, which keeps the shape
    of an object, is a reading.

    Args:
        image_HW3: the image.
        mask_HW: the mask.
        view: fill and size of the box.
        colour: RGB, 0..1, of what is filled.
    """
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    if not len(rows):
        return None
    edges = (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)
    side = max(1, round(view.box * max(high - low for low, high in edges)))
    top, left = ((low + high - side) // 2 for low, high in edges)
    height, width = mask_HW.shape
    y, x = slice(max(0, top), min(height, top + side)), slice(max(0, left), min(width, left + side))
    fill = np.round(255.0 * np.array(colour)).astype(np.uint8)
    square_SS3 = np.empty((side, side, 3), np.uint8)
    square_SS3[:] = fill
    part_hw3 = square_SS3[y.start - top : y.stop - top, x.start - left : x.stop - left]
    if view.fill == "mean":
        np.copyto(part_hw3, image_HW3[y, x], where=mask_HW[y, x, None])
    else:
        part_hw3[:] = image_HW3[y, x]
    return square_SS3


def _of_map(clip: ClipModel, image_HW3: NDArray[np.uint8], masks_KHW: NDArray[np.bool_]) -> Tensor:
    """Means of the image's feature map over each mask's cells, weighted by the part of a cell that the mask covers."""
    features_1Dhw = clip.feature_map(clip.resized_each([image_HW3]))
    cells = features_1Dhw.shape[2], features_1Dhw.shape[3]
    weights_Khw = F.adaptive_avg_pool2d(torch.from_numpy(masks_KHW).float(), cells).to(features_1Dhw)
    weights_Kn = weights_Khw.flatten(1)
    weights_Kn = weights_Kn / weights_Kn.sum(1, keepdim=True).clamp_min(torch.finfo(weights_Kn.dtype).tiny)
    f_KC = clip.embed_features(weights_Kn @ features_1Dhw[0].flatten(1).T).cpu()
    return f_KC * torch.from_numpy(masks_KHW.any((1, 2)))[:, None]
