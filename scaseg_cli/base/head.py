"""Mask2Former's head with a cosine classifier instead of its linear one: the common part of both hosts' heads.

MMSegmentation's head extends MMDetection's, so this class fits between either host's head and ours. Matching and losses
are Mask2Former's, computed for all images and decoder layers together.

Shapes: L decoder layers, B images, Q queries, K classes and no-object, G segments, M matched queries, P points,
D decoder channels, h w pixels of the mask logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.deformable_attention import deformable_attention
from scaseg_cli.base.mask_points import AnyPoints, MaskPoints
from scaseg_cli.base.matching import CostWeights, Pairs, assigned, costs
from scaseg_cli.base.pixel_decoder import PixelDecoder
from scaseg_cli.base.positions import KeptPositions
from scaseg_cli.base.query_head import Matches, QueryHead

mmcv_ops.install()  # before any import of mmdet's models

from mmcv.ops import multi_scale_deform_attn  # noqa: E402
from mmdet.models.dense_heads import Mask2FormerHead  # noqa: E402
from mmdet.utils import reduce_mean  # noqa: E402

multi_scale_deform_attn.multi_scale_deformable_attn_pytorch = deformable_attention  # in the pixel decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.base.augmentation import Annotated
    from scaseg_cli.base.classifier import CosineClassifier


class _Draws(NamedTuple):
    """The points of one decoder layer, in the order in which they are drawn.

    Attributes:
        matching: one row for each image.
        candidates: one row for each matched query, of which the most uncertain points are kept.
        others: one row for each matched query.
    """

    matching: Tensor
    candidates: Tensor
    others: Tensor


class MaskEmbeddings(NamedTuple):
    """What the mask logits of a decoder layer are products of: embeddings of queries and of pixels."""

    queries_BQD: Tensor
    pixels_BDhw: Tensor

    def logits(self) -> Tensor:
        """The mask logits of all queries, [B, Q, h, w]."""
        return torch.einsum("bqd,bdhw->bqhw", self.queries_BQD, self.pixels_BDhw)


class CosineHead(QueryHead, Mask2FormerHead):
    """A Mask2Former head that classifies by semantic embeddings.

    Args:
        classifier: the classifier over the seen classes.
        **mask2former: arguments of the host's head.
    """

    points: type[MaskPoints] = AnyPoints

    def __init__(self, classifier: CosineClassifier, **mask2former: Any) -> None:
        mask2former["pixel_decoder"]["type"] = PixelDecoder
        super().__init__(**mask2former)
        self.decoder_positional_encoding.__class__ = KeptPositions
        self.cls_embed = classifier
        self._smaller: dict[tuple[int, ...], Tensor] = {}  # pixels' embeddings at the sizes of the attention

    def forward(self, x: Any, views: Any) -> tuple[list[Tensor], list[MaskEmbeddings]]:
        """Compute class logits [B, Q, K] and mask embeddings of each decoder layer.

        Few mask logits are ever needed at their full size: those of the last layer, and in training of matched queries.
        """
        try:
            found: tuple[list[Tensor], list[MaskEmbeddings]] = super().forward(x, views)
            return found
        finally:
            self._smaller.clear()

    def _forward_head(
        self, decoder_out: Tensor, mask_feature: Tensor, attn_mask_target_size: tuple[int, int]
    ) -> tuple[Tensor, MaskEmbeddings, Tensor]:
        """As the host's, up to rounding; where a query does not look is found at that size, once for all heads."""
        self._visual = decoded = self.transformer_decoder.post_norm(decoder_out)
        masks = MaskEmbeddings(self.mask_embed(decoded), mask_feature)
        with torch.no_grad():
            size = tuple(attn_mask_target_size)
            if size not in self._smaller:  # resizing and multiplying are both linear: their order does not matter
                self._smaller[size] = F.interpolate(mask_feature, size, mode="bilinear", align_corners=False)
            coarse = masks._replace(pixels_BDhw=self._smaller[size]).logits()
            hidden_BQX = coarse.flatten(2).sigmoid() < 0.5
        return self.cls_embed(decoded), masks, hidden_BQX[:, None].repeat(1, self.num_heads, 1, 1).flatten(0, 1)

    def last_masks(self, x: Any, views: Any) -> Tensor:
        """Mask logits of the last decoder layer."""
        return self(x, views)[1][-1].logits()

    def compile_parts(self) -> None:
        """Compile the deformable attention, the mask head and the class projector (`base.compile`)."""
        for layer in self.pixel_decoder.encoder.layers:
            layer.self_attn.is_compiled = True
        super().compile_parts()

    def loss(self, features: Any, samples: Sequence[Annotated], *_train_cfg: Any) -> dict[str, Tensor]:
        """Compute Mask2Former's losses of all decoder layers, from the arguments of the host's head.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """
        class_logits, masks = self(features, samples)
        return self.losses_of(class_logits, masks, samples)

    def losses_of(
        self, class_logits: list[Tensor], masks: list[MaskEmbeddings], samples: Sequence[Annotated]
    ) -> dict[str, Tensor]:
        """Match queries and compute the losses of all decoder layers, always in float32.

        Args:
            class_logits: [B, Q, K] of each layer.
            masks: of each layer. Few queries are matched: only their mask logits have gradients.
            samples: the labels.

        Raises:
            FloatingPointError: as `loss` does.
        """
        with torch.autocast(class_logits[0].device.type, enabled=False):
            class_logits_LBQK = torch.stack(class_logits).float()
            points = self.points(samples)
            labels_BG = pad_sequence([sample.labels for sample in samples], batch_first=True)
            segments = [len(sample.labels) for sample in samples]
            rows = [min(number, self.num_queries) for number in segments]
            draws = [self._drawn(points, rows) for _ in class_logits]
            drawn = [own.matching for own in draws]
            pairs, hidden_LBQ = self._paired(class_logits_LBQK, masks, points, drawn, labels_BG, segments)
            index_LM, segment_LM, image_LM = self._on_device(pairs, class_logits_LBQK.device)
            of_classes = self._class_losses(class_logits_LBQK, index_LM, labels_BG[image_LM, segment_LM], hidden_LBQ)
        logits_Nhw = _logits_of(masks, index_LM, rows)
        with torch.autocast(logits_Nhw.device.type, enabled=False):
            num_masks = sum(max(1, number) for number in rows)  # as MMDetection counts: 1 for an image without segments
            of_masks = self._mask_losses(logits_Nhw.float(), points, draws, image_LM, segment_LM, num_masks)
        names = [f"d{layer}." for layer in range(len(class_logits) - 1)] + [""]
        return {
            layer + name: losses_L[place]
            for name, losses_L in zip(("loss_cls", "loss_mask", "loss_dice"), (of_classes, *of_masks), strict=True)
            for place, layer in enumerate(names)
        }

    def _drawn(self, points: MaskPoints, rows: list[int]) -> _Draws:
        num_random = self.num_points - self._num_uncertain
        return _Draws(
            points.draw([1] * len(rows), self.num_points),
            points.draw(rows, int(self.oversample_ratio * self.num_points)),
            points.draw(rows, num_random),
        )

    @property
    def _num_uncertain(self) -> int:
        return int(self.importance_sample_ratio * self.num_points)

    @torch.no_grad()
    def _paired(
        self,
        class_logits_LBQK: Tensor,
        masks: list[MaskEmbeddings],
        points: MaskPoints,
        drawn: list[Tensor],
        labels_BG: Tensor,
        segments: list[int],
    ) -> tuple[list[Pairs], Tensor | None]:
        """Match each layer's queries, by the masks at the points ``drawn`` for it.

        Returns:
            The pairs, and whether a query's class is not taught if it is unmatched, [L, B, Q]. Keeps the last layer's.
        """
        label, mask, dice = self.assigner.match_costs
        weights = CostWeights(label.weight, mask.weight, dice.weight, dice.eps)
        covered_BGX = points.covered_by_each(torch.cat(drawn, dim=1), labels_BG.shape[1])
        found: list[Tensor] = []
        hidden: list[Tensor] = []
        layers = zip(class_logits_LBQK, masks, drawn, covered_BGX.split(self.num_points, dim=2), strict=True)
        for class_logits_BQK, of_layer, own, covered_BGP in layers:
            logits_BQhw = of_layer.logits().float()  # of one layer at a time: they are large
            logits_BQP = points.logits_at(logits_BQhw, own)
            found.append(costs(class_logits_BQK, logits_BQP, labels_BG, covered_BGP, weights))
            if (hidden_BQ := points.hidden(logits_BQhw)) is not None:
                hidden.append(hidden_BQ)
        pairs = assigned(torch.stack(found), segments)
        self._pairs, self._hidden_BQ = pairs[-1], hidden[-1] if hidden else None
        return pairs, torch.stack(hidden) if hidden else None

    def _on_device(self, pairs: list[Pairs], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """For each layer, its matched queries as places among the queries of all images, their segments and images."""
        arrays = [(own.image_N * self.num_queries + own.query_N, own.segment_N, own.image_N) for own in pairs]
        index_LM, segment_LM, image_LM = torch.from_numpy(np.array(arrays)).to(device, non_blocking=True).unbind(1)
        return index_LM, segment_LM, image_LM

    def _class_losses(
        self, logits_LBQK: Tensor, index_LM: Tensor, labels_LM: Tensor, hidden_LBQ: Tensor | None
    ) -> Tensor:
        """The class loss of each layer, [L]: a class-weighted mean over queries, without unmatched hidden ones."""
        labels_LX = labels_LM.new_full((len(logits_LBQK), logits_LBQK[0, :, :, 0].numel()), self.num_classes)
        labels_LX.scatter_(1, index_LM, labels_LM)
        class_weight = logits_LBQK.new_tensor(self.class_weight)
        weights_LX = class_weight[labels_LX]
        if hidden_LBQ is not None:
            weights_LX = weights_LX * ~(hidden_LBQ.flatten(1) & (labels_LX == self.num_classes))
        each_LX = F.cross_entropy(logits_LBQK.flatten(0, 2), labels_LX.flatten(), reduction="none").view_as(weights_LX)
        total_L = weights_LX.sum(1).clamp(min=self.class_weight[-1])  # if all are left out
        return self.loss_cls.loss_weight * (each_LX * weights_LX).sum(1) / total_L

    def _mask_losses(
        self,
        logits_Nhw: Tensor,
        points: MaskPoints,
        draws: list[_Draws],
        image_LM: Tensor,
        segment_LM: Tensor,
        num_masks: int,
    ) -> tuple[Tensor, Tensor]:
        """The mask loss and the dice loss of each layer, [L]: means over points, and over matched queries.

        Args:
            logits_Nhw: mask logits of the matched queries, layer by layer.
            points: the points of the batch.
            draws: the points of each layer.
            image_LM: the image of each matched query.
            segment_LM: its segment.
            num_masks: by what sums are divided, after a mean over the processes.
        """
        layers = len(draws)
        total = reduce_mean(logits_Nhw.new_tensor([float(num_masks)])).clamp(min=1)
        if not len(logits_Nhw):
            nothing_L = logits_Nhw.sum().expand(layers)  # 0, with a gradient for every parameter
            return nothing_L, nothing_L
        with torch.no_grad():
            candidates = torch.cat([own.candidates for own in draws])
            distance = points.logits_at(logits_Nhw[:, None], candidates)[:, 0].abs()
            nearest = _at_smallest(candidates, distance, self._num_uncertain)
            chosen = torch.cat([nearest, torch.cat([own.others for own in draws])], dim=1)
            covered_NP = points.covered(chosen, image_LM.flatten(), segment_LM.flatten())
        logits_NP = points.logits_at(logits_Nhw[:, None], chosen)[:, 0]
        each_NP = F.binary_cross_entropy_with_logits(logits_NP, covered_NP, reduction="none")
        of_mask_L = each_NP.view(layers, -1).sum(1) / (total * self.num_points)
        inside_NP, eps = logits_NP.sigmoid(), self.loss_dice.eps
        dice_N = (2 * (inside_NP * covered_NP).sum(1) + eps) / (inside_NP.sum(1) + covered_NP.sum(1) + eps)
        of_dice_L = (1 - dice_N).view(layers, -1).sum(1) / total
        return self.loss_mask.loss_weight * of_mask_L, self.loss_dice.loss_weight * of_dice_L

    def match(self, x: tuple[Tensor, ...], samples: Sequence[Annotated]) -> Matches:
        """Match queries to segments without losses: forward pass, then Hungarian matching of the last layer.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """
        class_logits, masks = self(x, samples)
        points = self.points(samples)
        labels_BG = pad_sequence([sample.labels for sample in samples], batch_first=True)
        drawn = [points.draw([1] * len(samples), self.num_points)]
        segments = [len(sample.labels) for sample in samples]
        self._paired(class_logits[-1][None], masks[-1:], points, drawn, labels_BG, segments)
        return self.last_matches(len(samples))


def _logits_of(masks: Sequence[MaskEmbeddings], index_LM: Tensor, rows: Sequence[int]) -> Tensor:
    """The mask logits of matched queries, ``rows[b]`` of image b, layer by layer: [L * M, h, w]."""
    queries_LMD = torch.stack([own.queries_BQD.flatten(0, 1)[i] for own, i in zip(masks, index_LM, strict=True)])
    pixels_BDhw = masks[-1].pixels_BDhw  # all layers have the same
    images = zip(queries_LMD.split(rows, dim=1), pixels_BDhw.flatten(2).unbind(), strict=True)
    logits_LMX = torch.cat([own_LMD @ pixels_DX for own_LMD, pixels_DX in images], dim=1)
    return logits_LMX.unflatten(2, pixels_BDhw.shape[2:]).flatten(0, 1)


def _at_smallest(points_NP: Tensor, values_NP: Tensor, number: int) -> Tensor:
    """The points of each row at which its values are smallest, in any order [N, number]."""
    rows, columns = values_NP.shape
    # On a CPU in a third of the time; subclasses, such as tensors without values, have no arrays.
    if values_NP.device.type == "cpu" and type(values_NP) is Tensor and 0 < number < columns:
        place = torch.from_numpy(np.argpartition(values_NP.numpy(), number - 1, axis=1)[:, :number])
    else:
        place = values_NP.topk(number, dim=1, largest=False, sorted=False).indices
    first = torch.arange(0, rows * columns, columns, device=place.device)[:, None]
    return points_NP.flatten(0, 1).index_select(0, (place + first).flatten()).unflatten(0, place.shape)
