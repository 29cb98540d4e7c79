"""CLIP's image towers as feature maps, whose mean under a mask is put into CLIP's space.

Shapes: B images, n masks, D' width of the map, C embedding width, h w cells of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


@dataclass(frozen=True)
class DenseTower:
    """An image tower in two halves.

    Attributes:
        features: normalised square images [B, 3, S, S] to their feature maps [B, D', h, w].
        embed: means of such features [n, D'] to CLIP's space [n, C], not normalised.
    """

    features: Callable[[Tensor], Tensor]
    embed: Callable[[Tensor], Tensor]


def dense_tower(visual: nn.Module, name: str) -> DenseTower:
    """Split an image tower of open_clip.

    A ResNet gives its last map, put through the value and output projections of its attention pooling; a vision
    transformer the values of its last block (both as MaskCLIP: Zhou, Loy and Dai, "Extract Free Dense Labels from
    CLIP", ECCV 2022); a ConvNeXt its last map, put through its own head (as FC-CLIP: Yu et al., NeurIPS 2023).

    Args:
        visual: the tower.
        name: the model's name in the error message.

    Raises:
        ScasegError: the tower is of another type.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, ModifiedResNet):
        pooling = visual.attnpool
        return DenseTower(lambda images: _resnet(visual, images), lambda x_nD: pooling.c_proj(pooling.v_proj(x_nD)))
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None and visual.proj is not None:
        return DenseTower(lambda images: _transformer(visual, images), lambda x_nD: x_nD @ visual.proj)
    if isinstance(visual, TimmModel) and type(visual.trunk).__name__ == "ConvNeXt":
        trunk, head = visual.trunk, visual.head
        return DenseTower(
            lambda images: trunk.forward_features(images), lambda x_nD: head(trunk.forward_head(x_nD[:, :, None, None]))
        )
    raise ScasegError(
        f"the image tower of {name} has no feature map that is in CLIP's space after pooling",
        "Use evaluation.clip_on_masks: crops, or a ResNet, a ConvNeXt or a plain ViT of open_clip.",
    )


def _resnet(visual: Any, images_B3SS: Tensor) -> Tensor:
    features_BDhw: Tensor = visual.stem(images_B3SS)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        features_BDhw = layer(features_BDhw)
    return features_BDhw


def _transformer(visual: Any, images_B3SS: Tensor) -> Tensor:
    """The values of the last block for each patch, after its output projection and the final norm."""
    tokens = visual._embeds(images_B3SS)  # patches with positions, which forward starts with
    blocks = visual.transformer.resblocks
    for block in blocks[:-1]:
        tokens = block(tokens)
    attention = blocks[-1].attn
    weight, bias = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
    values = attention.out_proj(torch.nn.functional.linear(blocks[-1].ln_1(tokens), weight, bias))
    patches_BnD = visual.ln_post(values[:, -_num_patches(visual, images_B3SS) :])
    side = images_B3SS.shape[-2] // visual.conv1.kernel_size[0]
    maps_BDhw: Tensor = patches_BnD.transpose(1, 2).unflatten(2, (side, -1))
    return maps_BDhw


def _num_patches(visual: Any, images_B3SS: Tensor) -> int:
    height, width = visual.conv1.kernel_size
    return int(images_B3SS.shape[-2] // height) * int(images_B3SS.shape[-1] // width)
