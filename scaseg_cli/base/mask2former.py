"""Builds Mask2Former's configuration from the recipe's base section, in the format of both hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scaseg_cli.recipe.base_section import Backbone, Base


class FeatureMaps(NamedTuple):
    """Channels and strides of the four feature maps that a backbone gives to the pixel decoder."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]


def resnet_config(backbone: Backbone) -> dict[str, Any]:
    """ResNet's configuration; `build_backbone` removes max-pooling from the built network."""
    return {
        "depth": backbone.depth,
        "stem_channels": backbone.width,
        "base_channels": backbone.width,
        "out_indices": (0, 1, 2, 3),
        "frozen_stages": backbone.frozen_stages,
        "norm_cfg": {"type": "BN", "requires_grad": not backbone.frozen_norm},
        "norm_eval": backbone.frozen_norm,
        # a zero-initialised residual branch would stay zero if its norm is not trained
        "zero_init_residual": not backbone.frozen_norm,
        "style": "pytorch",
    }


def preprocessor_config(mean: tuple[float, ...], std: tuple[float, ...]) -> dict[str, Any]:
    """Configuration of what moves a batch to the device and normalises its pixels, RGB 0..255."""
    return {"type": "ImgDataPreprocessor", "mean": mean, "std": std, "non_blocking": True}


def _attention(base: Base) -> dict[str, Any]:
    return {"embed_dims": base.channels, "num_heads": base.heads, "dropout": 0.0, "batch_first": True}


def _mlp(width: int, hidden: int) -> dict[str, Any]:
    return {
        "embed_dims": width,
        "feedforward_channels": hidden,
        "num_fcs": 2,
        "ffn_drop": 0.0,
        "act_cfg": {"type": "ReLU", "inplace": True},
    }


def head_config(base: Base, maps: FeatureMaps, num_seen: int) -> dict[str, Any]:
    """Mask2FormerHead's configuration: that of Mask2Former (R-50, COCO panoptic) with the recipe's sizes."""
    width = base.channels
    position = {"num_feats": width // 2, "normalize": True}
    deformable = {**_attention(base), "num_levels": 3, "num_points": 4}
    return {
        "in_channels": list(maps.channels),
        "strides": list(maps.strides),
        "feat_channels": width,
        "out_channels": width,
        "num_things_classes": num_seen,  # a table separates things and stuff, not the class id
        "num_stuff_classes": 0,
        "num_queries": base.num_queries,
        "num_transformer_feat_level": 3,
        "pixel_decoder": {
            "type": "mmdet.MSDeformAttnPixelDecoder",
            "num_outs": 3,
            "norm_cfg": {"type": "GN", "num_groups": min(32, width // 4)},
            "act_cfg": {"type": "ReLU"},
            "encoder": {
                "num_layers": base.pixel_decoder_layers,
                "layer_cfg": {"self_attn_cfg": deformable, "ffn_cfg": _mlp(width, base.pixel_feedforward)},
            },
            "positional_encoding": position,
        },
        "enforce_decoder_input_project": False,
        "positional_encoding": position,
        "transformer_decoder": {
            "return_intermediate": True,
            "num_layers": base.decoder_layers,
            "layer_cfg": {
                "self_attn_cfg": _attention(base),
                "cross_attn_cfg": _attention(base),
                "ffn_cfg": _mlp(width, base.feedforward),
            },
            "init_cfg": None,
        },
        "loss_cls": {
            "type": "mmdet.CrossEntropyLoss",
            "use_sigmoid": False,
            "loss_weight": 2.0,
            "reduction": "mean",
            "class_weight": [1.0] * num_seen + [base.no_object_weight],
        },
        "loss_mask": {"type": "mmdet.CrossEntropyLoss", "use_sigmoid": True, "reduction": "mean", "loss_weight": 5.0},
        "loss_dice": {
            "type": "mmdet.DiceLoss",
            "use_sigmoid": True,
            "activate": True,
            "reduction": "mean",
            "naive_dice": True,
            "eps": 1.0,
            "loss_weight": 5.0,
        },
    }


def matching_config(base: Base) -> dict[str, Any]:
    """Configuration of matching and of the points at which masks are compared: that of Mask2Former."""
    return {
        "num_points": base.num_points,
        "oversample_ratio": 3.0,
        "importance_sample_ratio": 0.75,
        "assigner": {
            "type": "mmdet.HungarianAssigner",
            "match_costs": [
                {"type": "mmdet.ClassificationCost", "weight": 2.0},
                {"type": "mmdet.CrossEntropyLossCost", "weight": 5.0, "use_sigmoid": True},
                {"type": "mmdet.DiceCost", "weight": 5.0, "pred_act": True, "eps": 1.0},
            ],
        },
        "sampler": {"type": "mmdet.MaskPseudoSampler"},
    }
