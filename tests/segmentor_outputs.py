"""Outputs of a segmentor whose masks are given, and all masks of a real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from scaseg_cli.base.segmentor import MasksOf, Segmentor


def masks_of(masks_QHW: Tensor) -> MasksOf:
    """The given masks, in the form in which an inference takes them."""
    return lambda queries: masks_QHW if queries is None else masks_QHW[queries]


@dataclass(frozen=True)
class GivenOutputs:
    """In place of `Encoded`: masks of the image's size."""

    visual_QD: Tensor
    masks_QHW: Tensor

    def masks(self, size: tuple[int, int], queries: Tensor | None = None) -> Tensor:
        assert tuple(self.masks_QHW.shape[1:]) == size
        return masks_of(self.masks_QHW)(queries)


def segmented(segmentor: Segmentor, images: list[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
    """Per image, v [Q, D] and all masks [Q, H, W]."""
    pairs = zip(segmentor.encode(images), images, strict=True)
    return [(one.visual_QD, one.masks((image.shape[0], image.shape[1]))) for one, image in pairs]
