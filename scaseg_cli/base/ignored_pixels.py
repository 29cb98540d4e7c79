"""Matching costs and losses of Mask2Former at labelled pixels only (docs/method.md, Ignored pixels).

Mask2Former compares masks at P random points. Here the points are centres of labelled pixels, so ignored pixels affect
no mask. An unmatched query whose mask is on ignored pixels is not trained towards no-object.

Shapes: B images, Q queries, N masks, P points, V labelled pixels, h w of the mask logits, H W of the labels. A pixel is
given by its index in the flat image, row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.base.mask_points import MaskPoints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.base.augmentation import Annotated


def drawn(pixels_V: Tensor, rows: int, columns: int) -> Tensor:
    """Draw pixels uniformly with replacement, [rows, columns]; 0 without a draw if there are no pixels."""
    if not len(pixels_V):
        return pixels_V.new_zeros(rows, columns)
    return pixels_V[torch.randint(len(pixels_V), (rows, columns), device=pixels_V.device)]


def lie_on_ignored(mask_logits_BQhw: Tensor, is_ignored_BHW: Tensor) -> Tensor:
    """Whether more than half of each mask's area is ignored, bool [B, Q]; False for an empty mask."""
    height, width = mask_logits_BQhw.shape[-2:]
    fraction_Bhw = F.adaptive_avg_pool2d(is_ignored_BHW.to(mask_logits_BQhw.dtype), (height, width))
    covered_BQhw = mask_logits_BQhw > 0
    return (covered_BQhw * fraction_Bhw[:, None]).sum((2, 3)) > 0.5 * covered_BQhw.sum((2, 3))


class LabelledPixels(MaskPoints):
    """Points at the centres of labelled pixels, as indices of the flat image."""

    def __init__(self, samples: Sequence[Annotated]) -> None:
        super().__init__(samples)
        self.labelled: list[Tensor] = []
        for sample in samples:
            assert sample.labelled is not None, "the view was made without a list of its labelled pixels"
            self.labelled.append(sample.labelled)

    def draw(self, rows: Sequence[int], columns: int) -> Tensor:
        """Draw pixels uniformly with replacement, int64 [sum of rows, columns]; 0 where there are no labels."""
        parts = [drawn(own, number, columns) for own, number in zip(self.labelled, rows, strict=True)]
        return torch.cat(parts).long()

    def grid(self, points_NP: Tensor) -> Tensor:
        """The pixels' centres."""
        height, width = self.numbers_BHW.shape[1:]
        centres = torch.stack([points_NP % width, points_NP // width], dim=-1) + 0.5
        return 2 * (centres / centres.new_tensor([width, height])) - 1

    def covered(self, points_NP: Tensor, image_N: Tensor, segment_N: Tensor) -> Tensor:
        """1 for pixels of the segment, else 0."""
        numbers_BX = self.numbers_BHW.flatten(1)
        return (numbers_BX[image_N[:, None], points_NP] == segment_N[:, None] + 1).float()

    def covered_by_each(self, points_BP: Tensor, number: int) -> Tensor:
        """1 for pixels of the segment, else 0."""
        own_G = torch.arange(1, number + 1, device=points_BP.device)
        return (self.numbers_BHW.flatten(1).gather(1, points_BP)[:, None] == own_G[:, None]).float()

    def hidden(self, mask_logits_BQhw: Tensor) -> Tensor:
        """Whether a query's mask is on ignored pixels."""
        return lie_on_ignored(mask_logits_BQhw, self.numbers_BHW == 0)
