"""The host for semantic labels: MMSegmentation's Mask2Former.

A training sample's label contains seen class ids, and `IGNORED` for unseen classes, void and padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from scaseg_cli.base.aligned_network import AlignedNetwork
from scaseg_cli.base.augmentation import IGNORED
from scaseg_cli.base.backbones import feature_maps, pixel_statistics
from scaseg_cli.base.head import CosineHead
from scaseg_cli.base.ignored_pixels import LABELLED, LabelledPixels, labelled_pixels
from scaseg_cli.base.mask2former import head_config, matching_config

from mmseg.models import SegDataPreProcessor  # isort: skip  after head, which makes the models importable
from mmseg.models.decode_heads import Mask2FormerHead  # isort: skip
from mmseg.models.segmentors import EncoderDecoder  # isort: skip

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.recipe.schema import Base


class SemanticHead(CosineHead, Mask2FormerHead):
    """MMSegmentation's head over one segment per class; ignored pixels are background of every mask."""

    def segments(self, sample: Any) -> InstanceData:
        """One segment per class in the label, as in MMSegmentation."""
        (found,), _ = super()._seg_data_to_instance_data([sample])
        return InstanceData(labels=found.labels, masks=found.masks.bool())

    def annotated(self, samples: list[Any]) -> tuple[list[InstanceData], list[dict[str, Any]]]:
        """Each image's segments and metainfo."""
        return self._seg_data_to_instance_data(samples)


class LabelledPixelsHead(SemanticHead, LabelledPixels):
    """The same head, but matching and mask losses leave ignored pixels out."""

    def _seg_data_to_instance_data(self, batch_data_samples: list[Any]) -> Any:
        segments, metas = super()._seg_data_to_instance_data(batch_data_samples)
        pixels = [labelled_pixels(sample.gt_sem_seg.data[0], self.ignore_index) for sample in batch_data_samples]
        return segments, [{**meta, LABELLED: own} for meta, own in zip(metas, pixels, strict=True)]


class SemanticNetwork(AlignedNetwork, EncoderDecoder):
    """MMSegmentation's Mask2Former + V2C."""

    @property
    def head(self) -> CosineHead:
        """The semantic head."""
        return self.decode_head

    def _decode_head_forward_train(self, inputs: Any, data_samples: list[Any]) -> dict[str, Tensor]:
        """Compute the head's losses under their own names; MMSegmentation would prefix them with ``decode.``."""
        return self.decode_head.loss(inputs, data_samples, self.train_cfg)


def build(base: Base, backbone: nn.Module, classifier: CosineClassifier, num_seen: int) -> SemanticNetwork:
    """Build the network from the recipe's section around ``backbone``, with the host's initial weights."""
    mean, std = pixel_statistics(base.backbone)
    head = head_config(base, feature_maps(base.backbone, backbone), num_seen)
    config = ConfigDict(
        backbone={"type": lambda: backbone},
        decode_head={
            "type": LabelledPixelsHead if base.unseen_pixels == "ignored" else SemanticHead,
            "classifier": classifier,
            "num_classes": num_seen,
            "ignore_index": IGNORED,
            "train_cfg": matching_config(base),
            **head,
        },
        data_preprocessor={
            "type": SegDataPreProcessor,
            "mean": mean,
            "std": std,
            "bgr_to_rgb": False,
            "seg_pad_val": IGNORED,
            "size_divisor": 1,  # views are already padded
        },
    )
    return SemanticNetwork(**config)
