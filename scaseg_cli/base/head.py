"""MMDetection's Mask2Former with the cosine classifier in place of its class head, and V2C among its losses.

Shapes: B images, Q queries, G segments, D decoder channels, H W pixels of the padded batch.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.classifier import CosineClassifier
from scaseg_cli.base.v2c import V2CAlignment

mmcv_ops.install()  # before anything of mmdet's models

from mmdet.models.dense_heads import Mask2FormerHead  # noqa: E402
from mmdet.models.detectors import Mask2Former  # noqa: E402


class SemanticHead(Mask2FormerHead):
    """Mask2Former's head whose classes are semantic embeddings.

    It remembers, of the last forward pass, the visual embeddings v of each decoder layer's end and, of the last loss,
    which query holds which segment.

    Args:
        classifier: over the seen classes.
        **mask2former: what Mask2FormerHead takes.
    """

    def __init__(self, classifier: CosineClassifier, **mask2former: Any) -> None:
        super().__init__(**mask2former)
        self.cls_embed = classifier
        self._matches: list[tuple[Tensor, Tensor]] = []
        self.visual: Tensor | None = None  # v after the decoder's last norm, [B, Q, D]

    def preprocess_gt(self, batch_gt_instances: list[InstanceData], _semantic: list[Any]) -> list[InstanceData]:
        """Segments come as they are: mmdet would tell things from stuff by class id."""
        return [InstanceData(labels=gt.labels, masks=gt.masks.long()) for gt in batch_gt_instances]

    def _forward_head(self, decoder_out: Tensor, mask_feature: Tensor, attn_mask_target_size: Any) -> Any:
        self.visual = self.transformer_decoder.post_norm(decoder_out)
        return super()._forward_head(decoder_out, mask_feature, attn_mask_target_size)

    def _get_targets_single(self, *args: Any, **kwargs: Any) -> Any:
        targets = super()._get_targets_single(*args, **kwargs)
        sampled = targets[-1]
        self._matches.append((sampled.pos_inds, sampled.pos_assigned_gt_inds))
        return targets

    def loss(self, x: tuple[Tensor, ...], batch_data_samples: list[Any]) -> dict[str, Tensor]:
        """Mask2Former's losses of all decoder layers."""
        self._matches = []
        return super().loss(x, batch_data_samples)

    def last_matches(self, num_images: int) -> list[tuple[Tensor, Tensor]]:
        """Per image, (query indices, segment indices) of the last decoder layer's matching."""
        return self._matches[-num_images:]

    def match(self, x: tuple[Tensor, ...], batch_data_samples: list[Any]) -> list[tuple[Tensor, Tensor]]:
        """Match queries to segments without any loss: forward, then the last layer's Hungarian matching."""
        class_logits, mask_logits = self(x, batch_data_samples)
        self._matches = []
        instances = self.preprocess_gt([s.gt_instances for s in batch_data_samples], [])
        metas = [s.metainfo for s in batch_data_samples]
        self.get_targets(list(class_logits[-1]), list(mask_logits[-1]), instances, metas)
        return self.last_matches(len(batch_data_samples))


class SemanticMask2Former(Mask2Former):
    """Mask2Former + V2C.

    ``panoptic_head`` is a `SemanticHead`; ``v2c`` is None where the alignment is off.
    """

    def __init__(self, **mask2former: Any) -> None:
        super().__init__(**mask2former)
        self.v2c: V2CAlignment | None = None

    def init_weights(self) -> None:
        """Nothing: `build_network` has drawn the weights, and the Runner would draw them again."""

    def loss(self, batch_inputs: Tensor, batch_data_samples: list[Any]) -> dict[str, Tensor]:
        """Mask2Former's losses and, where it is on, ``loss_v2c``."""
        losses = super().loss(batch_inputs, batch_data_samples)
        if self.v2c is not None:
            head = self.panoptic_head
            images, masks = self._unpadded(batch_inputs, batch_data_samples)
            projected = head.cls_embed.project(head.visual)
            losses["loss_v2c"] = self.v2c(projected.float(), head.last_matches(len(images)), images, masks)
        return losses

    def _unpadded(self, inputs: Tensor, samples: list[Any]) -> tuple[list[Tensor], list[Tensor]]:
        """Images as RGB 0..1 and masks, both without padding."""
        preprocessor = self.data_preprocessor
        rgb = (inputs.float() * preprocessor.std + preprocessor.mean) / 255.0
        images, masks = [], []
        for image, sample in zip(rgb, samples, strict=True):
            height, width = sample.img_shape[:2]
            images.append(image[:, :height, :width].clamp(0, 1))
            masks.append(sample.gt_instances.masks[:, :height, :width])
        return images, masks

    def encode(self, batch_inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Visual embeddings v [B, Q, D] and mask logits [B, Q, h, w] of a normalised batch."""
        head = self.panoptic_head
        _, mask_logits = head(self.extract_feat(batch_inputs), [])
        return head.visual, mask_logits[-1]


def normalised(network: SemanticMask2Former, images: Tensor) -> Tensor:
    """A uint8 RGB batch [B, 3, H, W] as the network takes it."""
    preprocessor = network.data_preprocessor
    return (images.to(preprocessor.mean.device, torch.float32) - preprocessor.mean) / preprocessor.std
