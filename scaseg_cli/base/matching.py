"""Hungarian matching of queries and segments, for all images and decoder layers of a step (Mask2Former, section 3.3).

The costs of all of them are computed on the device and read by the host at once: the one time that a training step has
to wait for the device.

Shapes: L decoder layers, B images, Q queries, K classes and no-object, G segments of the image with the most, P points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# What SciPy says of costs with NaN, and of rows that are infinite throughout.
NO_MATCHING = {"matrix contains invalid numeric entries", "cost matrix is infeasible"}


class CostWeights(NamedTuple):
    """Weights of the costs, and the number that is added to both sides of the dice quotient."""

    label: float
    mask: float
    dice: float
    eps: float


class Pairs(NamedTuple):
    """The matched queries of one layer, by image and query, and their segments: int64 arrays [N]."""

    image_N: NDArray[np.int64]
    query_N: NDArray[np.int64]
    segment_N: NDArray[np.int64]

    def of_image(self, image: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The queries of an image, ascending, and their segments."""
        own = self.image_N == image
        return self.query_N[own], self.segment_N[own]


def costs(
    class_logits_BQK: Tensor, logits_BQP: Tensor, labels_BG: Tensor, covered_BGP: Tensor, weights: CostWeights
) -> Tensor:
    """Compute the costs of pairing queries with segments, [B, Q, G].

    The sum of three, each with its weight: minus the probability of the segment's class, the mean cross-entropy of the
    mask, and 1 - dice. With z the logit and y what the segment covers, the cross-entropy is softplus(z) - z y.

    Args:
        class_logits_BQK: class logits.
        logits_BQP: mask logits at the points.
        labels_BG: the segments' class_ids; of an image with fewer segments, the rest may be anything.
        covered_BGP: how far the segments cover the points, 0..1.
        weights: the weights.
    """
    queries = logits_BQP.shape[1]
    of_label = -class_logits_BQK.softmax(-1).gather(2, labels_BG[:, None].expand(-1, queries, -1))
    covered_BPG = covered_BGP.transpose(1, 2)
    of_mask = (F.softplus(logits_BQP).sum(-1, keepdim=True) - logits_BQP @ covered_BPG) / logits_BQP.shape[-1]
    inside_BQP = logits_BQP.sigmoid()
    area_BQG = inside_BQP.sum(-1)[:, :, None] + covered_BGP.sum(-1)[:, None]
    of_dice = 1 - (2 * inside_BQP @ covered_BPG + weights.eps) / (area_BQG + weights.eps)
    return weights.label * of_label + weights.mask * of_mask + weights.dice * of_dice


def assigned(costs_LBQG: Tensor, num_segments: Sequence[int]) -> list[Pairs]:
    """Pair queries and segments of each image one to one at the least total cost; returns the pairs of each layer.

    Args:
        costs_LBQG: the costs.
        num_segments: the number of segments of each image.

    Raises:
        FloatingPointError: costs are infinite or NaN.
    """
    from scipy.optimize import linear_sum_assignment  # training alone needs it, and it takes long to import

    found = []
    for costs_BQG in costs_LBQG.cpu().numpy():
        rows: list[tuple[NDArray[np.int64], ...]] = [(np.empty(0, np.int64),) * 3]
        for image, (costs_QG, number) in enumerate(zip(costs_BQG, num_segments, strict=True)):
            try:
                query, segment = linear_sum_assignment(costs_QG[:, :number])
            except ValueError as error:
                if str(error) not in NO_MATCHING:
                    raise
                raise FloatingPointError("the matching costs have infinite or NaN values") from error
            rows.append((np.full(len(query), image), query, segment))
        found.append(Pairs(*(np.concatenate(column) for column in zip(*rows, strict=True))))
    return found
