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


_MASK_PIXELS = 1 << 26  # of the masks that are made at a time: 256 MB


class MaskPoints(ABC):
    """Draws points of the images of a batch, and says how far a segment covers them.

    A point is what `draw` returns in the dimensions after the first two.

    Args:
        samples: the labels of the batch, on the device of the network.
    """

    def __init__(self, samples: Sequence[Annotated]) -> None:
        self.numbers_BHW = torch.stack([sample.numbers for sample in samples])
        self._dtype = self.numbers_BHW.dtype  # what is compared with them has it too: the maps are not converted

    @abstractmethod
    def draw(self, rows: Sequence[int], columns: int) -> Tensor:
        """Draw ``columns`` points for each of the ``rows[b]`` rows of image b, [sum of rows, columns, ...]."""

    @abstractmethod
    def grid(self, points_NP: Tensor) -> Tensor:
        """The points' x and y, [N, P, 2], -1..1 from border to border, as `grid_sample` takes them."""

    @abstractmethod
    def covered(self, points_NP: Tensor, image_N: Tensor, segment_N: Tensor) -> Tensor:
        """How far segment ``segment_N`` of image ``image_N`` covers the points of its row, 0..1, float32 [N, P]."""

    @abstractmethod
    def covered_by_each(self, points_BP: Tensor, number: int) -> Tensor:
        """How far each of the first ``number`` segments covers the points of its image, 0..1, float32 [B, G, P]."""

    def hidden(self, mask_logits_BQhw: Tensor) -> Tensor | None:
        """Whether a query is not taught by its class if no segment is matched to it, bool [B, Q]; None: all are."""
        del mask_logits_BQhw
        return None

    def logits_at(self, logits_NQhw: Tensor, points_NP: Tensor) -> Tensor:
        """Sample mask logits bilinearly at the points of their row, [N, Q, P]."""
        return F.grid_sample(logits_NQhw, self.grid(points_NP)[:, :, None], align_corners=False)[..., 0]


class AnyPoints(MaskPoints):
    """Points anywhere in the image, x and y in -1..1, at which the masks of segments are interpolated bilinearly."""

    def draw(self, rows: Sequence[int], columns: int) -> Tensor:
        """Draw points uniformly: x and y [sum of rows, columns, 2]."""
        return torch.empty(sum(rows), columns, 2, device=self.numbers_BHW.device).uniform_(-1, 1)

    def grid(self, points_NP: Tensor) -> Tensor:
        """The points themselves."""
        return points_NP

    def covered(self, points_NP: Tensor, image_N: Tensor, segment_N: Tensor) -> Tensor:
        """Sample the masks, some at a time, so that they take little memory."""
        found_NP = points_NP.new_empty(points_NP.shape[:2])
        size = max(1, _MASK_PIXELS // self.numbers_BHW[0].numel())
        parts = (image_N.split(size), segment_N.split(size), points_NP.split(size), found_NP.split(size))
        for image, segment, points, found in zip(*parts, strict=True):
            masks = self.numbers_BHW[image] == (segment + 1).to(self._dtype)[:, None, None]
            found.copy_(self.logits_at(masks[:, None].float(), points)[:, 0])
        return found_NP

    def covered_by_each(self, points_BP: Tensor, number: int) -> Tensor:
        """Sample the masks of one image at a time."""
        own_G = torch.arange(1, number + 1, dtype=self._dtype, device=points_BP.device)[:, None, None]
        pairs = zip(self.numbers_BHW, points_BP, strict=True)
        return torch.cat([self.logits_at((numbers == own_G)[None].float(), points[None]) for numbers, points in pairs])
