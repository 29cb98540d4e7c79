"""A segmentor with V2C among its losses: the common part of both hosts' networks.

Shapes: B images, Q queries, D decoder channels, h w pixels of the mask logits, H W of the padded batch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.query_head import View
from scaseg_cli.base.v2c import SegmentMap

mmcv_ops.install()  # before mmengine, which would import transformers for its optimizers

from mmengine.model import BaseModel  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaseg_cli.base.augmentation import Annotated
    from scaseg_cli.base.query_head import QueryHead
    from scaseg_cli.base.v2c import V2CAlignment


class AlignedNetwork(BaseModel):
    """The host's Mask2Former or MaskFormer + V2C; ``v2c`` is None if the alignment is off."""

    def __init__(self, **mask2former: Any) -> None:
        super().__init__(**mask2former)
        self.v2c: V2CAlignment | None = None

    @property
    @abstractmethod
    def head(self) -> QueryHead:
        """The head, which each host keeps under its own name."""

    def init_weights(self) -> None:
        """Do nothing: `build_network` has drawn the weights, and the Runner must not draw them again."""

    def loss(self, inputs: Tensor, data_samples: list[Annotated]) -> dict[str, Tensor]:
        """Compute the host's losses and, if the alignment is on, ``loss_v2c``."""
        losses = super().loss(inputs, data_samples)
        if self.v2c is not None:
            images, numbers = self._unpadded(inputs, data_samples)
            head = self.head
            projected = head.cls_embed.project(head.last_visual())
            losses["loss_v2c"] = self.v2c(projected.float(), head.last_matches(len(images)), images, numbers)
        return losses

    def _unpadded(self, inputs: Tensor, samples: list[Annotated]) -> tuple[list[Tensor], list[SegmentMap]]:
        """RGB images, 0..1, and the maps of their segments, both without padding."""
        preprocessor = self.data_preprocessor
        rgb = (inputs.float() * preprocessor.std + preprocessor.mean) / 255.0
        images, maps = [], []
        for image, sample in zip(rgb, samples, strict=True):
            height, width = sample.view_shape
            images.append(image[:, :height, :width].clamp(0, 1))
            maps.append(SegmentMap(sample.numbers[:height, :width], len(sample.labels)))
        return images, maps

    def encode(self, inputs: Tensor, inside: Sequence[tuple[int, int]] | None = None) -> tuple[Tensor, Tensor]:
        """Encode a normalised batch to visual embeddings v [B, Q, D] and mask logits [B, Q, h, w].

        Args:
            inputs: the padded batch.
            inside: height and width of each image without padding; None: there is none.
        """
        padded = inputs.shape[-2], inputs.shape[-1]
        views = [View(size, padded) for size in (inside or [padded] * len(inputs))]
        mask_logits = self.head.last_masks(self.extract_feat(inputs), views)
        return self.head.last_visual(), mask_logits


def normalised(network: AlignedNetwork, images: Tensor) -> Tensor:
    """Normalise a uint8 RGB batch [B, 3, H, W] for the network, which is not trained."""
    preprocessor = network.data_preprocessor
    found = (images.to(preprocessor.mean.device, torch.float32) - preprocessor.mean) / preprocessor.std
    # Convolutions of a CPU take less time so; their gradients do not.
    return found.contiguous(memory_format=torch.channels_last) if found.device.type == "cpu" else found
