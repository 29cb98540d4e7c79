"""Mask2Former's head with a cosine classifier instead of its linear one: the common part of both hosts' heads.

MMSegmentation's head extends MMDetection's, so this class fits between either host's head and ours.
Shapes: B images, Q queries, G segments, D decoder channels, H W pixels of the padded batch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.deformable_attention import deformable_attention

mmcv_ops.install()  # before any import of mmdet's models

from mmcv.ops import multi_scale_deform_attn  # noqa: E402
from mmdet.models.dense_heads import Mask2FormerHead  # noqa: E402

multi_scale_deform_attn.multi_scale_deformable_attn_pytorch = deformable_attention  # in the pixel decoder

if TYPE_CHECKING:
    from mmengine.structures import InstanceData

    from scaseg_cli.base.classifier import CosineClassifier

# What SciPy says of costs with NaN, and of rows that are infinite throughout.
_NO_MATCHING = {"matrix contains invalid numeric entries", "cost matrix is infeasible"}
Matches = list[tuple[Tensor, Tensor]]  # per image, indices of matched queries and of their segments


class CosineHead(Mask2FormerHead):
    """A Mask2Former head that classifies by semantic embeddings.

    It stores the visual embeddings v of the last forward pass, and the matched and unmatched queries of the last loss
    or `match`.

    Args:
        classifier: the classifier over the seen classes.
        **mask2former: arguments of the host's head.
    """

    def __init__(self, classifier: CosineClassifier, **mask2former: Any) -> None:
        super().__init__(**mask2former)
        self.cls_embed = classifier
        self._matches: Matches = []
        self._null: list[Tensor] = []
        self._visual: Tensor | None = None

    @abstractmethod
    def segments(self, sample: Any) -> InstanceData:
        """A training sample's segments: class ids ``labels`` [G], and ``masks``, bool [G, H, W]."""

    @abstractmethod
    def annotated(self, samples: list[Any]) -> tuple[list[InstanceData], list[dict[str, Any]]]:
        """Inputs of the host's matching: each image's segments, in the order of `segments`, and its metainfo."""

    def _forward_head(self, decoder_out: Tensor, mask_feature: Tensor, attn_mask_target_size: Any) -> Any:
        self._visual = self.transformer_decoder.post_norm(decoder_out)
        return super()._forward_head(decoder_out, mask_feature, attn_mask_target_size)

    def _get_targets_single(self, *args: Any, **kwargs: Any) -> Any:
        try:
            targets = super()._get_targets_single(*args, **kwargs)
        except ValueError as error:
            if str(error) not in _NO_MATCHING:
                raise
            raise FloatingPointError("the matching costs have infinite or NaN values") from error
        labels_Q, weights_Q, sampled = targets[0], targets[1], targets[-1]
        self._matches.append((sampled.pos_inds, sampled.pos_assigned_gt_inds))
        self._null.append(((labels_Q == self.num_classes) & (weights_Q > 0)).nonzero()[:, 0])
        return targets

    def loss(self, *features_and_samples: Any) -> dict[str, Tensor]:
        """Compute Mask2Former's losses of all decoder layers, from the arguments of the host's head.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """
        self._matches, self._null = [], []
        return super().loss(*features_and_samples)

    def loss_by_feat(self, class_logits: list[Tensor], mask_logits: list[Tensor], *annotated: Any) -> dict[str, Tensor]:
        """Match queries and compute the losses of all decoder layers, always in float32."""
        with torch.autocast(mask_logits[0].device.type, enabled=False):
            in_full = [[logits.float() for logits in layers] for layers in (class_logits, mask_logits)]
            return super().loss_by_feat(*in_full, *annotated)

    def last_visual(self) -> Tensor:
        """v of the last forward pass, after the decoder's last norm, [B, Q, D]."""
        assert self._visual is not None, "no forward pass has run"
        return self._visual

    def last_matches(self, num_images: int) -> Matches:
        """Per image, (query indices, segment indices) of the last decoder layer's matching."""
        return self._matches[-num_images:]

    def last_null(self, num_images: int) -> list[Tensor]:
        """Per image, the unmatched queries of the last decoder layer's matching, ascending.

        Queries on ignored pixels are in neither this list nor `last_matches`.
        """
        return self._null[-num_images:]

    def match(self, x: tuple[Tensor, ...], samples: list[Any]) -> Matches:
        """Match queries to segments without losses: forward pass, then Hungarian matching of the last layer.

        Raises:
            FloatingPointError: the network's outputs are not finite, or so large that matching costs are not.
        """
        class_logits, mask_logits = self(x, samples)
        self._matches, self._null = [], []
        self.get_targets(list(class_logits[-1]), list(mask_logits[-1]), *self.annotated(samples))
        return self.last_matches(len(samples))
