"""Checkpoints of Mask2Former as MMDetection and Detectron2 write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from scaseg_cli.base.backbones import IMAGENET_MEAN, IMAGENET_STD, resnet_maps
from scaseg_cli.base.mask2former import head_config, matching_config, preprocessor_config, resnet_config

if TYPE_CHECKING:
    from scaseg_cli.recipe.base_section import Base


def own_model_of_mmdetection(base: Base, num_classes: int) -> nn.Module:
    """Mask2Former as MMDetection builds it from a configuration, with its linear class head and random weights."""
    from mmdet.models.detectors import Mask2Former  # after backbones, which makes them importable
    from mmengine.config import ConfigDict
    from mmengine.registry import DefaultScope

    backbone = base.backbone
    head = head_config(base, resnet_maps(backbone), num_classes)
    torch.manual_seed(5)
    config = ConfigDict(
        {
            "backbone": {"type": "ResNet", **resnet_config(backbone)},
            "panoptic_head": {"type": "Mask2FormerHead", **head},
            "panoptic_fusion_head": {
                "type": "MaskFormerFusionHead", "num_things_classes": num_classes, "num_stuff_classes": 0,
                "loss_panoptic": None,
            },
            "train_cfg": matching_config(base),
            "test_cfg": {},
            "data_preprocessor": preprocessor_config(IMAGENET_MEAN, IMAGENET_STD),
        }
    )  # fmt: skip
    with DefaultScope.overwrite_default_scope("mmdet"):  # an earlier test may have left MMSegmentation's
        model: Any = Mask2Former(**config)
    if not backbone.max_pool:
        model.backbone.maxpool = nn.Identity()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.05)  # every name has weights of its own
    found: nn.Module = model.eval()
    return found


def names_of_detectron(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with Detectron2's names, as its modules nest."""
    layer = {"0": "cross_attention", "1": "self_attention", "2": "ffn"}
    head, decoder = "panoptic_head.", "sem_seg_head.predictor."
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked") or name.startswith("data_preprocessor"):
            continue
        if name.startswith("backbone."):
            new = re.sub(r"layer(\d)", lambda m: f"res{int(m[1]) + 1}", name)
            new = re.sub(r"\.bn(\d)\.", r".conv\1.norm.", new)
            new = new.replace(".downsample.0.", ".shortcut.").replace(".downsample.1.", ".shortcut.norm.")
            new = re.sub(r"backbone\.conv1\.", "backbone.stem.conv1.", new)
        elif name.startswith(f"{head}pixel_decoder."):
            new = name.replace(head, "sem_seg_head.").replace("level_encoding.weight", "transformer.level_embed")
            new = new.replace("pixel_decoder.encoder", "pixel_decoder.transformer.encoder")
            new = new.replace(".ffn.layers.0.0.", ".linear1.").replace(".ffn.layers.1.", ".linear2.")
            new = re.sub(r"\.norms\.(\d)\.", lambda m: f".norm{int(m[1]) + 1}.", new)
            new = re.sub(r"input_convs\.(\d)\.conv", r"input_proj.\1.0", new)
            new = re.sub(r"input_convs\.(\d)\.gn", r"input_proj.\1.1", new)
            new = new.replace("lateral_convs.0.conv", "adapter_1").replace("lateral_convs.0.gn", "adapter_1.norm")
            new = new.replace("output_convs.0.conv", "layer_1").replace("output_convs.0.gn", "layer_1.norm")
            new = new.replace("mask_feature.", "mask_features.")
        elif part := re.fullmatch(rf"{head}transformer_decoder\.layers\.(\d+)\.norms\.(\d)\.(.+)", name):
            new = f"{decoder}transformer_{layer[part[2]]}_layers.{part[1]}.norm.{part[3]}"
        elif part := re.fullmatch(rf"{head}transformer_decoder\.layers\.(\d+)\.(\w+)_attn\.attn\.(.+)", name):
            inner = "multihead_attn" if part[2] == "cross" else "self_attn"
            new = f"{decoder}transformer_{part[2]}_attention_layers.{part[1]}.{inner}.{part[3]}"
        elif part := re.fullmatch(rf"{head}transformer_decoder\.layers\.(\d+)\.ffn\.layers\.(\d)\.(.+)", name):
            end = part[3].removeprefix("0.")
            new = f"{decoder}transformer_ffn_layers.{part[1]}.linear{int(part[2]) + 1}.{end}"
        else:
            new = name.replace(head, decoder).replace("transformer_decoder.post_norm", "decoder_norm")
            new = new.replace("cls_embed", "class_embed")
            new = re.sub(r"mask_embed\.(\d)", lambda m: f"mask_embed.layers.{int(m[1]) // 2}", new)
        found[new] = tensor
    return found
