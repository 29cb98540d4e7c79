"""The points at which predicted and annotated masks are compared (Mask2Former, section 3.3).

Which segment a point lies on is read from the view's map of segment numbers, for all segments at once; no mask is made.

Shapes: B images, N masks, P points, H W of the labels, h w of the mask logits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.base.augmentation import Annotated


class MaskPoints(ABC):
    """Draws points of the images of a batch, and says how far a segment covers them.

    A point is what `draw` returns in the dimensions after the first two.

    Args:
        samples: the labels of the batch, on the device of the network.
    """

    def __init__(self, samples: Sequence[Annotated]) -> None:
        self.numbers_BHW = torch.stack([sample.numbers.int() for sample in samples])

    @abstractmethod
    def draw(self, rows: Sequence[int], columns: int) -> Tensor:
        """Draw ``columns`` points for each of the ``rows[b]`` rows of image b, [sum of rows, columns, ...]."""

    @abstractmethod
    def places(self, points_NP: Tensor) -> Tensor:
        """The points' x and y, [N, P, 2], 0..1 from border to border."""

    @abstractmethod
    def covered(self, points_NP: Tensor, image_N: Tensor, segment_N: Tensor) -> Tensor:
        """How far segment ``segment_N`` of image ``image_N`` covers the points of its row, 0..1, float32 [N, P]."""

    def hidden(self, mask_logits_BQhw: Tensor) -> Tensor | None:
        """Whether a query is not taught by its class if no segment is matched to it, bool [B, Q]; None: all are."""
        del mask_logits_BQhw
        return None

    def logits_at(self, logits_NQhw: Tensor, points_NP: Tensor) -> Tensor:
        """Sample mask logits bilinearly at the points of their row, [N, Q, P]."""
        grid_NP12 = (2.0 * self.places(points_NP) - 1.0)[:, :, None]
        return F.grid_sample(logits_NQhw, grid_NP12, align_corners=False)[..., 0]


class AnyPoints(MaskPoints):
    """Points anywhere in the image, x and y in 0..1, at which the masks of segments are interpolated bilinearly."""

    def draw(self, rows: Sequence[int], columns: int) -> Tensor:
        """Draw points uniformly: x and y [sum of rows, columns, 2]."""
        return torch.rand(sum(rows), columns, 2, device=self.numbers_BHW.device)

    def places(self, points_NP: Tensor) -> Tensor:
        """The points themselves."""
        return points_NP

    def covered(self, points_NP: Tensor, image_N: Tensor, segment_N: Tensor) -> Tensor:
        """The part of the four pixels around each point that is on the segment, by their distance to the point."""
        height, width = self.numbers_BHW.shape[1:]
        padded_BX = F.pad(self.numbers_BHW, (1, 1, 1, 1)).flatten()  # the outside is on no segment
        x, y = (points_NP * points_NP.new_tensor([width, height]) + 0.5).unbind(-1)  # a pixel's centre is its index + 1
        left, top = x.floor(), y.floor()
        on_right, below = x - left, y - top
        first = (image_N[:, None] * (height + 2) + top.long()) * (width + 2) + left.long()
        number_N1 = segment_N[:, None] + 1
        covered_NP = torch.zeros_like(x)
        for row, vertical in ((0, 1 - below), (width + 2, below)):
            for column, horizontal in ((0, 1 - on_right), (1, on_right)):
                is_on = padded_BX[first + (row + column)] == number_N1
                covered_NP += is_on * (vertical * horizontal)
        return covered_NP
