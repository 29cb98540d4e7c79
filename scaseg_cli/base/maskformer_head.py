"""MaskFormer's head with a cosine classifier instead of its linear one: the common part of both hosts' heads.

Matching and losses are MaskFormer's (Cheng, Schwing and Kirillov 2021, section 3.2), by the hosts' own costs and losses
on whole masks: a segment is matched at the resolution of the mask logits, and the losses compare masks at that of the
labels. `IgnoringMaskFormerHead` leaves ignored pixels out of both.

Shapes: L decoder layers, B images, Q queries, K classes and no-object, G segments of an image, M matched queries,
H W pixels of the labels, h w of the mask logits, V labelled pixels among the h w.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.ignored_pixels import lie_on_ignored
from scaseg_cli.base.matching import NO_MATCHING, Pairs
from scaseg_cli.base.query_head import Matches, QueryHead, View

mmcv_ops.install()  # before any import of mmdet's models

from mmdet.models.dense_heads import MaskFormerHead  # noqa: E402
from mmdet.utils import reduce_mean  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.base.augmentation import Annotated
    from scaseg_cli.base.classifier import CosineClassifier

_NOWHERE = -1e4  # a mask logit whose probability is 0


class CosineMaskFormerHead(QueryHead, MaskFormerHead):
    """A MaskFormer head that classifies by semantic embeddings; pixels without a segment are background of every mask.

    Args:
        classifier: the classifier over the seen classes.
        **maskformer: arguments of the host's head.
    """

    ignores = False  # whether pixels without a segment are left out of costs and losses

    def __init__(self, classifier: CosineClassifier, **maskformer: Any) -> None:
        super().__init__(**maskformer)
        self.cls_embed = classifier
        self.transformer_decoder.register_forward_hook(self._keep_visual)

    def _keep_visual(self, _decoder: nn.Module, _inputs: Any, decoded_LBQD: Tensor) -> None:
        self._visual = decoded_LBQD[-1]

    def forward(self, x: tuple[Tensor, ...], views: Sequence[Annotated | View]) -> tuple[Tensor, Tensor]:
        """Compute class logits [L, B, Q, K] and mask logits [L, B, Q, h, w] of all decoder layers.

        Args:
            x: the feature maps.
            views: for each image, its size in the padded batch. The attention leaves the padding out.
        """
        sizes = [{"batch_input_shape": view.padded_shape, "img_shape": view.view_shape} for view in views]
        found: tuple[Tensor, Tensor] = super().forward(x, [SimpleNamespace(metainfo=own) for own in sizes])
        return found

    def last_masks(self, x: tuple[Tensor, ...], views: Sequence[Annotated | View]) -> Tensor:
        """Forward pass; returns the mask logits of the last decoder layer, [B, Q, h, w]."""
        return self(x, views)[1][-1]

    def loss(self, features: Any, samples: Sequence[Annotated], *_train_cfg: Any) -> dict[str, Tensor]:
        """Compute MaskFormer's losses of all decoder layers, from the arguments of the host's head.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """
        class_logits, mask_logits = self(features, samples)
        return self.losses_of(class_logits, mask_logits, samples)

    def losses_of(
        self, class_logits_LBQK: Tensor, mask_logits_LBQhw: Tensor, samples: Sequence[Annotated]
    ) -> dict[str, Tensor]:
        """Match queries and compute the losses of all decoder layers, always in float32.

        Raises:
            FloatingPointError: as `loss` does.
        """
        with torch.autocast(mask_logits_LBQhw.device.type, enabled=False):
            masks = [sample.masks() for sample in samples]
            layers = [
                self._layer_losses(class_logits_BQK.float(), mask_logits_BQhw.float(), samples, masks)
                for class_logits_BQK, mask_logits_BQhw in zip(class_logits_LBQK, mask_logits_LBQhw, strict=True)
            ]
        names = [f"d{layer}." for layer in range(len(layers) - 1)] + [""]
        return {layer + name: value for layer, own in zip(names, layers, strict=True) for name, value in own.items()}

    def match(self, x: tuple[Tensor, ...], samples: Sequence[Annotated]) -> Matches:
        """Match queries to segments without losses: forward pass, then Hungarian matching of the last layer.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """
        class_logits, mask_logits = self(x, samples)
        self._assign(class_logits[-1].float(), mask_logits[-1].float(), samples, [one.masks() for one in samples])
        return self.last_matches(len(samples))

    @torch.no_grad()
    def _assign(
        self,
        class_logits_BQK: Tensor,
        mask_logits_BQhw: Tensor,
        samples: Sequence[Annotated],
        masks: Sequence[Tensor],
    ) -> Pairs:
        """Match a layer's queries to the segments with ``masks`` [G, H, W] of each image, and keep the pairs."""
        rows: list[tuple[np.ndarray, ...]] = [(np.empty(0, np.int64),) * 3]
        size = mask_logits_BQhw.shape[-2:]
        for image, (sample, masks_GHW) in enumerate(zip(samples, masks, strict=True)):
            if not len(masks_GHW):
                continue
            small_GX = F.interpolate(masks_GHW[:, None].float(), size, mode="nearest").flatten(1)
            logits_QX = mask_logits_BQhw[image].flatten(1)
            if self.ignores:
                labelled_X = F.interpolate((sample.numbers > 0)[None, None].float(), size, mode="nearest").flatten() > 0
                small_GX, logits_QX = small_GX[:, labelled_X], logits_QX[:, labelled_X]
            predicted = InstanceData(scores=class_logits_BQK[image], masks=logits_QX)
            annotated = InstanceData(labels=sample.labels, masks=small_GX.long())
            try:
                place_Q = self.assigner.assign(predicted, annotated).gt_inds.cpu().numpy()
            except ValueError as error:
                if str(error) not in NO_MATCHING:
                    raise
                raise FloatingPointError("the matching costs have infinite or NaN values") from error
            query = np.flatnonzero(place_Q > 0)
            rows.append((np.full(len(query), image), query, place_Q[query] - 1))
        self._pairs = Pairs(*(np.concatenate(column) for column in zip(*rows, strict=True)))
        self._hidden_BQ = None
        if self.ignores:
            is_ignored_BHW = torch.stack([sample.numbers == 0 for sample in samples])
            self._hidden_BQ = lie_on_ignored(mask_logits_BQhw, is_ignored_BHW)
        return self._pairs

    def _layer_losses(
        self,
        class_logits_BQK: Tensor,
        mask_logits_BQhw: Tensor,
        samples: Sequence[Annotated],
        masks: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        pairs = self._assign(class_logits_BQK, mask_logits_BQhw, samples, masks)
        of_class = self._class_loss(class_logits_BQK, pairs, samples)
        total = reduce_mean(mask_logits_BQhw.new_tensor([float(sum(max(1, len(own)) for own in masks))])).clamp(min=1)
        if not len(pairs.query_N):
            nothing = mask_logits_BQhw[:0].sum()  # 0, with a gradient for every parameter
            return {"loss_cls": of_class, "loss_mask": nothing, "loss_dice": nothing}
        segments = [torch.from_numpy(pairs.of_image(image)[1]) for image in range(len(samples))]
        covered_MHW = torch.cat(
            [own[segment.to(own.device)] for own, segment in zip(masks, segments, strict=True)]
        ).float()
        small_Mhw = mask_logits_BQhw[torch.from_numpy(pairs.image_N), torch.from_numpy(pairs.query_N)]
        size = covered_MHW.shape[1:]
        logits_MHW = F.interpolate(small_Mhw[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        weight_MHW = None
        if self.ignores:
            own_pixels = zip((sample.numbers > 0 for sample in samples), segments, strict=True)
            labelled = [pixels_HW.expand(len(own), -1, -1) for pixels_HW, own in own_pixels]
            labelled_MHW = torch.cat(labelled)
            weight_MHW = labelled_MHW / labelled_MHW.float().mean((1, 2), keepdim=True)  # a mean over labelled pixels
        of_mask = self.loss_mask(
            logits_MHW.reshape(-1, 1),
            covered_MHW.reshape(-1, 1),  # of the logits' shape, for which mmdet needs no compiled operator
            weight_MHW.reshape(-1, 1) if weight_MHW is not None else None,
            avg_factor=total * covered_MHW[0].numel(),
        )
        if self.ignores:
            logits_MHW = logits_MHW.masked_fill(~labelled_MHW, _NOWHERE)
        of_dice = self.loss_dice(logits_MHW, covered_MHW, avg_factor=total)
        return {"loss_cls": of_class, "loss_mask": of_mask, "loss_dice": of_dice}

    def _class_loss(self, logits_BQK: Tensor, pairs: Pairs, samples: Sequence[Annotated]) -> Tensor:
        """A class-weighted mean over queries, without unmatched ones on ignored pixels."""
        labels_BQ = torch.full(logits_BQK.shape[:2], self.num_classes, device=logits_BQK.device)
        for image, sample in enumerate(samples):
            query, segment = (torch.from_numpy(own).to(labels_BQ.device) for own in pairs.of_image(image))
            labels_BQ[image, query] = sample.labels[segment]
        class_weight = logits_BQK.new_tensor(self.class_weight)
        weights_BQ = class_weight[labels_BQ]
        if self._hidden_BQ is not None:
            weights_BQ = weights_BQ * ~(self._hidden_BQ & (labels_BQ == self.num_classes))
        each_BQ = F.cross_entropy(logits_BQK.flatten(0, 1), labels_BQ.flatten(), reduction="none").view_as(weights_BQ)
        total = weights_BQ.sum().clamp(min=self.class_weight[-1])  # if all are left out
        loss: Tensor = self.loss_cls.loss_weight * (each_BQ * weights_BQ).sum() / total
        return loss


class IgnoringMaskFormerHead(CosineMaskFormerHead):
    """The same head, but pixels without a segment are in no matching cost and no mask loss."""

    ignores = True
