"""The host for panoptic labels: MMDetection's Mask2Former."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmengine.config import ConfigDict

from scaseg_cli.base.aligned_network import AlignedNetwork
from scaseg_cli.base.backbones import feature_maps, pixel_statistics
from scaseg_cli.base.head import CosineHead
from scaseg_cli.base.mask2former import head_config, matching_config, preprocessor_config

from mmdet.models.detectors import Mask2Former  # isort: skip  after head, which makes mmdet's models importable

if TYPE_CHECKING:
    from torch import nn

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.recipe.base_section import Base


class PanopticNetwork(AlignedNetwork, Mask2Former):
    """MMDetection's Mask2Former + V2C."""

    @property
    def head(self) -> CosineHead:
        """The panoptic head."""
        return self.panoptic_head


def build(base: Base, backbone: nn.Module, classifier: CosineClassifier, num_seen: int) -> PanopticNetwork:
    """Build the network from the recipe's section around ``backbone``, with the host's initial weights."""
    head = head_config(base, feature_maps(base.backbone, backbone), num_seen)
    config = ConfigDict(
        backbone={"type": lambda: backbone},
        panoptic_head={
            "type": CosineHead,
            "classifier": classifier,
            **head,
        },
        panoptic_fusion_head={
            "type": "mmdet.MaskFormerFusionHead",
            "num_things_classes": num_seen,
            "num_stuff_classes": 0,
            "loss_panoptic": None,
        },
        train_cfg=matching_config(base),
        test_cfg={},
        data_preprocessor=preprocessor_config(*pixel_statistics(base.backbone)),
    )
    return PanopticNetwork(**config)
