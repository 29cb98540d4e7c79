"""Made-up outputs of a segmentor, with a label: for benchmarks and tests of what comes after the network.

In outputs that are shaped like a trained model's, a few queries have a segment each: a mask that is soft at its border,
and a class that is sure. As many have a weaker copy of such a mask, and the others see no object. Masks are enlarged
from a quarter of the image's size. Shapes: Q queries, N classes, h w and H W pixels.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["trained", "untrained", "tied"]
STRIDE = 4
_SEGMENTS = 12


class MadeUp(NamedTuple):
    """The outputs for one image.

    Attributes:
        label_HW: segment ids 1..S; 0 in the upper rows, which have no label.
        class_ids_S: the segments' classes.
        logits_Qhw: mask logits at a quarter of the image's size.
        probabilities: of each candidate [Q, N + 1], no-object last.
    """

    label_HW: np.ndarray
    class_ids_S: np.ndarray
    logits_Qhw: Tensor
    probabilities: list[Tensor]

    def masks_QHW(self) -> Tensor:
        """Mask probabilities at the image's size."""
        size = self.label_HW.shape
        return F.interpolate(self.logits_Qhw[None], size, mode="bilinear", align_corners=False)[0].sigmoid()


def made_up(
    num_classes: int,
    num_queries: int,
    size: tuple[int, int],
    num_candidates: int,
    kind: Kind = "trained",
    seed: int = 0,
) -> MadeUp:
    """Make the outputs of a trained or untrained segmentor, or of one whose classes are tied in every pixel.

    Args:
        num_classes: N.
        num_queries: Q.
        size: H, W.
        num_candidates: number of classifiers.
        kind: ``untrained``: noise; ``tied``: several classes have the same probabilities.
        seed: of everything random.
    """
    random, draws = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    num_segments = min(_SEGMENTS, max(1, num_queries // 2))
    low = tuple(-(-side // STRIDE) for side in size)
    rows, columns = np.ogrid[: size[0], : size[1]]
    centres = draws.uniform((0, 0), size, (num_segments, 2))
    distance_SHW = np.stack([np.hypot(rows - y, columns - x) for y, x in centres])
    label_HW = (distance_SHW.argmin(0) + 1).astype(np.int32)
    label_HW[: size[0] // 20] = 0
    class_ids_S = draws.integers(0, num_classes, num_segments)
    if kind == "trained":
        at_low_Shw = distance_SHW[:, ::STRIDE, ::STRIDE] / STRIDE
        logits_Qhw = _trained_masks(torch.from_numpy(at_low_Shw).float(), num_queries, random)
    else:
        logits_Qhw = 0.3 * torch.randn(num_queries, *low, generator=random)
    base_QN1 = 2 * torch.randn(num_queries, num_classes + 1, generator=random)
    probabilities = []
    for number in range(num_candidates):
        noise_QN1 = torch.randn(num_queries, num_classes + 1, generator=random)
        if kind == "tied":
            logits_QN1 = (torch.arange(num_classes + 1) % 7 == 0).float() + 0 * noise_QN1
        elif kind == "untrained":
            logits_QN1 = 0.5 * noise_QN1
        else:
            logits_QN1 = _trained_classes(base_QN1 + 0.3 * noise_QN1, torch.from_numpy(class_ids_S))
            logits_QN1[:, num_classes - max(1, num_classes // 10) : -1] += 0.25 * (number % 10)  # the increment
        probabilities.append(logits_QN1.softmax(-1))
    return MadeUp(label_HW, class_ids_S, logits_Qhw, probabilities)


def _trained_masks(distance_Shw: Tensor, num_queries: int, random: torch.Generator) -> Tensor:
    num_segments, height, width = distance_Shw.shape
    nearest = distance_Shw.sort(0).values
    other = nearest[1 if num_segments > 1 else 0]
    margin_Shw = torch.where(distance_Shw == nearest[0], other, nearest[0]) - distance_Shw
    logits_Qhw = torch.full((num_queries, height, width), -8.0)
    copies = min(num_segments, num_queries - num_segments)
    logits_Qhw[:num_segments] = (1.2 * margin_Shw).clamp(-9, 9)
    logits_Qhw[num_segments : num_segments + copies] = logits_Qhw[:copies] - 3
    waves = torch.randn(num_queries, 1, -(-height // 4), -(-width // 4), generator=random)
    return logits_Qhw + F.interpolate(waves, (height, width), mode="bilinear", align_corners=False)[:, 0]


def _trained_classes(logits_QN1: Tensor, class_ids_S: Tensor) -> Tensor:
    num_segments = len(class_ids_S)
    with_segment = torch.arange(num_segments)
    logits_QN1[:, -1] += 8
    logits_QN1[:num_segments, -1] -= 4
    logits_QN1[with_segment, class_ids_S] += 13
    copies = with_segment[: len(logits_QN1) - num_segments]
    logits_QN1[copies + num_segments, class_ids_S[copies]] += 6
    return logits_QN1
