"""The host for panoptic labels: MMDetection's Mask2Former, or its MaskFormer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmengine.config import ConfigDict

from scaseg_cli.base import mask2former, maskformer
from scaseg_cli.base.aligned_network import AlignedNetwork
from scaseg_cli.base.backbones import feature_maps, pixel_statistics
from scaseg_cli.base.head import CosineHead
from scaseg_cli.base.mask2former import preprocessor_config
from scaseg_cli.base.maskformer_head import CosineMaskFormerHead

from mmdet.models.detectors import Mask2Former, MaskFormer  # isort: skip  after head, which makes mmdet's models importable

if TYPE_CHECKING:
    from torch import nn

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.base.query_head import QueryHead
    from scaseg_cli.recipe.base_section import Base


class PanopticNetwork(AlignedNetwork, Mask2Former):
    """MMDetection's Mask2Former + V2C."""

    @property
    def head(self) -> QueryHead:
        """The panoptic head."""
        return self.panoptic_head


class PanopticMaskFormer(AlignedNetwork, MaskFormer):
    """MMDetection's MaskFormer + V2C."""

    @property
    def head(self) -> QueryHead:
        """The panoptic head."""
        return self.panoptic_head


def build(base: Base, backbone: nn.Module, classifier: CosineClassifier, num_seen: int) -> AlignedNetwork:
    """Build the network from the recipe's section around ``backbone``, with the host's initial weights."""
    maps = feature_maps(base.backbone, backbone)
    if base.segmentor == "mask2former":
        network, kind = PanopticNetwork, CosineHead
        head, matching = mask2former.head_config(base, maps, num_seen), mask2former.matching_config(base)
    else:
        network, kind = PanopticMaskFormer, CosineMaskFormerHead
        head, matching = maskformer.head_config(base, maps, num_seen, has_encoder=True), maskformer.matching_config()
    config = ConfigDict(
        backbone={"type": lambda: backbone},
        panoptic_head={
            "type": kind,
            "classifier": classifier,
            **head,
        },
        panoptic_fusion_head={
            "type": "mmdet.MaskFormerFusionHead",
            "num_things_classes": num_seen,
            "num_stuff_classes": 0,
            "loss_panoptic": None,
        },
        train_cfg=matching,
        test_cfg={},
        data_preprocessor=preprocessor_config(*pixel_statistics(base.backbone)),
    )
    return network(**config)
