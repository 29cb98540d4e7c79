"""The host for panoptic labels: MMDetection's Mask2Former."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from scaseg_cli.base.aligned_network import AlignedNetwork
from scaseg_cli.base.backbones import feature_maps, pixel_statistics
from scaseg_cli.base.head import CosineHead
from scaseg_cli.base.mask2former import head_config, matching_config

from mmdet.models import DetDataPreprocessor  # isort: skip  after head, which makes mmdet's models importable
from mmdet.models.detectors import Mask2Former  # isort: skip

if TYPE_CHECKING:
    from torch import nn

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.recipe.schema import Base


class PanopticHead(CosineHead):
    """MMDetection's head over the segments of the sample, both things and stuff."""

    def segments(self, sample: Any) -> InstanceData:
        """The segments stored in the sample."""
        return sample.gt_instances

    def annotated(self, samples: list[Any]) -> tuple[list[InstanceData], list[dict[str, Any]]]:
        """Each image's segments and metainfo."""
        return self.preprocess_gt([self.segments(s) for s in samples], []), [s.metainfo for s in samples]

    def preprocess_gt(self, batch_gt_instances: list[InstanceData], _semantic: list[Any]) -> list[InstanceData]:
        """Return the segments unchanged: mmdet would separate things from stuff by class id."""
        return [InstanceData(labels=gt.labels, masks=gt.masks.long()) for gt in batch_gt_instances]


class PanopticNetwork(AlignedNetwork, Mask2Former):
    """MMDetection's Mask2Former + V2C."""

    @property
    def head(self) -> CosineHead:
        """The panoptic head."""
        return self.panoptic_head


def build(base: Base, backbone: nn.Module, classifier: CosineClassifier, num_seen: int) -> PanopticNetwork:
    """Build the network from the recipe's section around ``backbone``, with the host's initial weights."""
    mean, std = pixel_statistics(base.backbone)
    head = head_config(base, feature_maps(base.backbone, backbone), num_seen)
    config = ConfigDict(
        backbone={"type": lambda: backbone},
        panoptic_head={
            "type": PanopticHead,
            "classifier": classifier,
            **head,
        },
        panoptic_fusion_head={
            "type": "MaskFormerFusionHead",
            "num_things_classes": num_seen,
            "num_stuff_classes": 0,
            "loss_panoptic": None,
        },
        train_cfg=matching_config(base),
        test_cfg={},
        data_preprocessor={"type": DetDataPreprocessor, "mean": mean, "std": std, "bgr_to_rgb": False},
    )
    return PanopticNetwork(**config)
