"""Matching costs and losses of Mask2Former at labelled pixels only (docs/method.md, Ignored pixels).

Mask2Former compares masks at P random points. Here the points are centres of labelled pixels, so ignored pixels affect
no mask. An unmatched query whose mask is on ignored pixels is not trained towards no-object.

Shapes: B images, Q queries, G matched queries or segments, K classes and no-object, P points, V labelled pixels, h w of
the mask logits, H W of the labels. A pixel is given by its index in the flat image, row by row.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor

from scaseg_cli.base import mmcv_ops

mmcv_ops.install()  # before any import of mmdet's models

from mmcv.ops import point_sample  # noqa: E402
from mmdet.models.dense_heads import Mask2FormerHead  # noqa: E402
from mmdet.utils import reduce_mean  # noqa: E402

LABELLED = "labelled"  # metainfo key of an image's labelled pixels


def labelled_pixels(label_HW: Tensor, ignored: int) -> Tensor:
    """Find the pixels whose label is not ``ignored``, int64 [V]."""
    return (label_HW.flatten() != ignored).nonzero()[:, 0]


def drawn(pixels_V: Tensor, rows: int, columns: int) -> Tensor:
    """Draw pixels uniformly with replacement, [rows, columns]; rows must be 0 if there are no pixels."""
    return pixels_V[torch.randint(max(1, len(pixels_V)), (rows, columns), device=pixels_V.device)]


def logits_at(logits_NQhw: Tensor, pixels_NP: Tensor, labels_NHW: Tensor) -> Tensor:
    """Sample mask logits bilinearly at pixel centres, [N, Q, P]; the labels provide the image size."""
    height, width = labels_NHW.shape[-2:]
    places = torch.stack([pixels_NP % width, pixels_NP // width], dim=-1) + 0.5
    return point_sample(logits_NQhw, places / places.new_tensor([width, height]))


def lie_on_ignored(logits_Qhw: Tensor, pixels_V: Tensor, labels_HW: Tensor) -> Tensor:
    """Whether more than half of each mask's area is ignored, bool [Q]; False for an empty mask."""
    is_ignored_HW = torch.ones_like(labels_HW, dtype=logits_Qhw.dtype)
    is_ignored_HW.view(-1)[pixels_V] = 0.0
    height, width = logits_Qhw.shape[-2:]
    fraction_hw = F.adaptive_avg_pool2d(is_ignored_HW[None], (height, width))[0]
    covered_Qhw = logits_Qhw > 0
    return (covered_Qhw * fraction_hw).sum((1, 2)) > 0.5 * covered_Qhw.sum((1, 2))


class LabelledPixels(Mask2FormerHead):
    """A Mask2Former head that uses only the pixels listed under `LABELLED` in each image's metainfo."""

    @torch.no_grad()
    def _get_targets_single(
        self, class_logits_QK: Tensor, mask_logits_Qhw: Tensor, segments: InstanceData, meta: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Match one image's queries with its segments; returns the same as MMDetection's method.

        These are labels [Q], their weights [Q], the matched queries' masks [G, H, W], whether queries are matched [Q],
        the indices of matched and of unmatched queries, and the sampler's result.
        """
        logits_QP, masks_GP = self._compared(mask_logits_Qhw, segments.masks, meta[LABELLED])
        found = InstanceData(scores=class_logits_QK, masks=logits_QP)
        wanted = InstanceData(labels=segments.labels, masks=masks_GP)
        queries = InstanceData(scores=class_logits_QK, masks=mask_logits_Qhw)
        matching = self.sampler.sample(self.assigner.assign(found, wanted, meta), queries, segments)
        query, segment = matching.pos_inds, matching.pos_assigned_gt_inds
        labels_Q = segments.labels.new_full((self.num_queries,), self.num_classes)
        labels_Q[query] = segments.labels[segment]
        matched_Q = mask_logits_Qhw.new_zeros(self.num_queries)
        matched_Q[query] = 1.0
        label_HW = segments.masks.new_zeros(segments.masks.shape[-2:])
        hidden_Q = lie_on_ignored(mask_logits_Qhw, meta[LABELLED], label_HW)
        weights_Q = torch.where(hidden_Q & (matched_Q == 0), 0, torch.ones_like(labels_Q))
        return labels_Q, weights_Q, segments.masks[segment], matched_Q, query, matching.neg_inds, matching

    def _compared(self, logits_Qhw: Tensor, masks_GHW: Tensor, pixels_V: Tensor) -> tuple[Tensor, Tensor]:
        """Sample all queries and all segments of an image at the same points: [Q, P] and [G, P]."""
        if len(masks_GHW) == 0:  # nothing to compare, and possibly no labelled pixel
            return logits_Qhw.flatten(1), masks_GHW.flatten(1)
        pixels_1P = drawn(pixels_V, 1, self.num_points)
        logits_1QP = logits_at(logits_Qhw[None], pixels_1P, masks_GHW)
        return logits_1QP[0], masks_GHW.flatten(1)[:, pixels_1P[0]]

    def _loss_by_feat_single(
        self,
        class_logits_BQK: Tensor,
        mask_logits_BQhw: Tensor,
        segments: list[InstanceData],
        metas: list[dict[str, Any]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the class, mask and dice losses of one decoder layer.

        The class loss is a class-weighted mean over queries, without unmatched ones on ignored pixels. The mask losses
        are means over points and over matched queries, whose number is averaged over processes.
        """
        labels, weights, masks, matched, num_matched = self.get_targets(
            list(class_logits_BQK), list(mask_logits_BQhw), segments, metas
        )
        labels_BQ, weights_BQ = torch.stack(labels).flatten(), torch.stack(weights).flatten()
        class_weight = class_logits_BQK.new_tensor(self.class_weight)
        weight_sum = (class_weight[labels_BQ] * weights_BQ).sum().clamp(min=class_weight[-1])  # if all are left out
        loss_cls = self.loss_cls(class_logits_BQK.flatten(0, 1), labels_BQ, weights_BQ, avg_factor=weight_sum)
        logits_Ghw = mask_logits_BQhw[torch.stack(matched) > 0]
        num_masks = reduce_mean(weight_sum.new_tensor([num_matched])).clamp(min=1)
        if len(logits_Ghw) == 0:
            nothing = logits_Ghw.sum()  # 0, with a gradient for every parameter
            return loss_cls, nothing, nothing
        masks_GHW = torch.cat(masks)
        with torch.no_grad():
            pixels_GP = self._uncertain_pixels(logits_Ghw, masks, [meta[LABELLED] for meta in metas])
            targets_GP = masks_GHW.flatten(1).gather(1, pixels_GP).float()
        points_GP = logits_at(logits_Ghw[:, None], pixels_GP, masks_GHW)[:, 0]
        loss_mask = self.loss_mask(points_GP.flatten(), targets_GP.flatten(), avg_factor=num_masks * self.num_points)
        return loss_cls, loss_mask, self.loss_dice(points_GP, targets_GP, avg_factor=num_masks)

    def _uncertain_pixels(self, logits_Ghw: Tensor, masks: list[Tensor], pixels: list[Tensor]) -> Tensor:
        """Draw points for the losses of matched queries, [G, P], most of them near the predicted mask's border.

        Args:
            logits_Ghw: mask logits of the matched queries of all images.
            masks: per image, the masks of its matched queries.
            pixels: per image, its labelled pixels.
        """

        def draw(columns: int) -> Tensor:
            return torch.cat([drawn(own, len(m), columns) for own, m in zip(pixels, masks, strict=True)])

        num_uncertain = int(self.importance_sample_ratio * self.num_points)
        candidates = draw(int(self.oversample_ratio * self.num_points))
        distance = logits_at(logits_Ghw[:, None], candidates, masks[0])[:, 0].abs()
        nearest = distance.topk(num_uncertain, dim=1, largest=False).indices
        return torch.cat([candidates.gather(1, nearest), draw(self.num_points - num_uncertain)], dim=1)
