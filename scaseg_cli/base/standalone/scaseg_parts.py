"""Parts of a segmentor that scaseg exported: class head, backbones and padding, for MMDetection and MMSegmentation.

This file was copied beside the configuration, which imports it. It needs no scaseg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.models.backbones import ResNet
from mmengine.model import BaseModule
from mmengine.registry import MODELS, TRANSFORMS
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnitLength(nn.Module):
    """Scales vectors [..., C] to length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the vectors at length 1."""
        return F.normalize(vectors.float(), dim=-1)


class BestName(nn.Module):
    """Makes the logits of classes out of those of names: a class has that of its best name.

    Args:
        names_of_class: for each class, the rows of its names; all classes list equally many, some of them twice.
    """

    names_of_class: Tensor

    def __init__(self, names_of_class: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.register_buffer("names_of_class", torch.tensor(names_of_class), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        """Turn [..., names + 1] into [..., classes + 1]; the last is no-object."""
        return torch.cat([logits[..., self.names_of_class].amax(-1), logits[..., -1:]], dim=-1)


@MODELS.register_module(force=True)
class CosineClassHead(nn.Sequential):
    """Class logits of queries [..., D]: an MLP to C, unit length, and one linear layer of class vectors / tau.

    Its bias is the increment of unseen classes.

    Args:
        visual_dim: D, the decoder's channels.
        embedding_dim: C, the width of class vectors.
        num_vectors: class vectors, or names if classes have several; without no-object.
        names_of_class: for `BestName`; None: each class has one vector.
    """

    def __init__(
        self,
        visual_dim: int,
        embedding_dim: int,
        num_vectors: int,
        names_of_class: Sequence[Sequence[int]] | None = None,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Linear(visual_dim, visual_dim),
            nn.ReLU(),
            nn.Linear(visual_dim, embedding_dim),
            UnitLength(),
            nn.Linear(embedding_dim, num_vectors + 1),
        ]
        super().__init__(*layers, *([] if names_of_class is None else [BestName(names_of_class)]))


@MODELS.register_module(force=True)
class ResNetWithoutMaxPool(ResNet):
    """A ResNet whose stem keeps its resolution, for small images."""

    def __init__(self, **resnet: Any) -> None:
        super().__init__(**resnet)
        self.maxpool = nn.Identity()


@MODELS.register_module(force=True)
class TimmFeatures(BaseModule):
    """A network of timm that gives four feature maps.

    Args:
        name: its name in timm.
        indices: which of timm's feature maps are given.
    """

    def __init__(self, name: str, indices: Sequence[int], init_cfg: Any = None) -> None:
        import timm

        super().__init__(init_cfg)
        try:
            body: Any = timm.create_model(name, pretrained=False, strict_img_size=False)
        except TypeError:  # a network without that option
            body = timm.create_model(name, pretrained=False)
        self.body = body
        self.indices = list(indices)
        body.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)

    def forward(self, images_B3HW: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps [B, C, H/s, W/s]."""
        return tuple(
            self.body.forward_intermediates(
                images_B3HW, indices=self.indices, norm=False, output_fmt="NCHW", intermediates_only=True
            )
        )


@TRANSFORMS.register_module(force=True)
class PadBlack:
    """Pads an image with black, right and bottom, to a multiple of ``divisor``, and keeps ``img_shape``.

    The hosts' own padding has the colour of the mean pixel, with which the network was not trained.
    """

    def __init__(self, divisor: int = 32) -> None:
        self.divisor = divisor

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pad ``results["img"]``, uint8 [H, W, 3]."""
        height, width = results["img"].shape[:2]
        bottom, right = -height % self.divisor, -width % self.divisor
        results["img"] = np.pad(results["img"], ((0, bottom), (0, right), (0, 0)))
        results["pad_shape"] = height + bottom, width + right
        results["padding_size"] = [0, right, 0, bottom]
        return results
