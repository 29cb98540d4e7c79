"""The host for semantic labels: MMSegmentation's Mask2Former, or its MaskFormer.

A training view has one segment for each seen class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.config import ConfigDict

from scaseg_cli.base import mask2former, maskformer
from scaseg_cli.base.aligned_network import AlignedNetwork
from scaseg_cli.base.backbones import feature_maps, pixel_statistics
from scaseg_cli.base.head import CosineHead
from scaseg_cli.base.ignored_pixels import LabelledPixels
from scaseg_cli.base.mask2former import preprocessor_config
from scaseg_cli.base.maskformer_head import CosineMaskFormerHead, IgnoringMaskFormerHead

from mmseg.models.decode_heads import Mask2FormerHead, MaskFormerHead  # isort: skip  after head, which makes the models importable
from mmseg.models.segmentors import EncoderDecoder  # isort: skip

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaseg_cli.base.classifier import CosineClassifier
    from scaseg_cli.base.query_head import QueryHead
    from scaseg_cli.recipe.base_section import Base


class SemanticHead(CosineHead, Mask2FormerHead):
    """MMSegmentation's head over one segment per class; ignored pixels are background of every mask."""


class LabelledPixelsHead(SemanticHead):
    """The same head, but matching and mask losses leave ignored pixels out."""

    points = LabelledPixels


class SemanticMaskFormerHead(CosineMaskFormerHead, MaskFormerHead):
    """MMSegmentation's MaskFormer head; ignored pixels are background of every mask."""


class LabelledMaskFormerHead(IgnoringMaskFormerHead, MaskFormerHead):
    """The same head, but matching and mask losses leave ignored pixels out."""


class SemanticNetwork(AlignedNetwork, EncoderDecoder):
    """MMSegmentation's Mask2Former or MaskFormer + V2C."""

    @property
    def head(self) -> QueryHead:
        """The semantic head."""
        return self.decode_head

    def _decode_head_forward_train(self, inputs: Any, data_samples: list[Any]) -> dict[str, Tensor]:
        """Compute the head's losses under their own names; MMSegmentation would prefix them with ``decode.``."""
        return self.decode_head.loss(inputs, data_samples, self.train_cfg)


def build(base: Base, backbone: nn.Module, classifier: CosineClassifier, num_seen: int) -> SemanticNetwork:
    """Build the network from the recipe's section around ``backbone``, with the host's initial weights."""
    maps, ignores = feature_maps(base.backbone, backbone), base.unseen_pixels == "ignored"
    if base.segmentor == "mask2former":
        kind: type = LabelledPixelsHead if ignores else SemanticHead
        head, matching = mask2former.head_config(base, maps, num_seen), mask2former.matching_config(base)
    else:
        kind = LabelledMaskFormerHead if ignores else SemanticMaskFormerHead
        head, matching = maskformer.head_config(base, maps, num_seen, has_encoder=False), maskformer.matching_config()
    config = ConfigDict(
        backbone={"type": lambda: backbone},
        decode_head={
            "type": kind,
            "classifier": classifier,
            "num_classes": num_seen,
            "train_cfg": matching,
            **head,
        },
        data_preprocessor=preprocessor_config(*pixel_statistics(base.backbone)),
    )
    return SemanticNetwork(**config)
