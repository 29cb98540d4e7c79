"""Builds MaskFormer's configuration from the recipe's base section, in the format of both hosts.

The settings are those of the hosts' own configurations: maskformer_r50_ms-16xb1-75e_coco.py of MMDetection and
maskformer_r50-d32_8xb2-160k_ade20k-512x512.py of MMSegmentation. They differ in the pixel decoder alone: MMDetection's
has a transformer encoder on the backbone's last feature map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaseg_cli.base.mask2former import FeatureMaps
    from scaseg_cli.recipe.base_section import Base

_DROPOUT = 0.1


def head_config(base: Base, maps: FeatureMaps, num_seen: int, has_encoder: bool) -> dict[str, Any]:
    """MaskFormerHead's configuration with the recipe's sizes.

    Args:
        base: the recipe's section.
        maps: the feature maps of the backbone.
        num_seen: S.
        has_encoder: whether the pixel decoder has a transformer encoder.
    """
    width = base.channels
    position = {"num_feats": width // 2, "normalize": True}
    pixel_decoder: dict[str, Any] = {
        "type": "TransformerEncoderPixelDecoder" if has_encoder else "PixelDecoder",
        "norm_cfg": {"type": "GN", "num_groups": min(32, width // 4)},
        "act_cfg": {"type": "ReLU"},
    }
    if has_encoder:
        layer = {"self_attn_cfg": _attention(base), "ffn_cfg": _mlp(width, base.pixel_feedforward)}
        pixel_decoder["encoder"] = {"num_layers": base.pixel_decoder_layers, "layer_cfg": layer}
        pixel_decoder["positional_encoding"] = position
    return {
        "in_channels": list(maps.channels),
        "feat_channels": width,
        "out_channels": width,
        "num_things_classes": num_seen,  # a table separates things and stuff, not the class id
        "num_stuff_classes": 0,
        "num_queries": base.num_queries,
        "pixel_decoder": pixel_decoder,
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
            "type": "CrossEntropyLoss",
            "use_sigmoid": False,
            "loss_weight": 1.0,
            "reduction": "mean",
            "class_weight": [1.0] * num_seen + [base.no_object_weight],
        },
        "loss_mask": {
            "type": "FocalLoss",
            "use_sigmoid": True,
            "gamma": 2.0,
            "alpha": 0.25,
            "reduction": "mean",
            "loss_weight": 20.0,
        },
        "loss_dice": {
            "type": "DiceLoss",
            "use_sigmoid": True,
            "activate": True,
            "reduction": "mean",
            "naive_dice": True,
            "eps": 1.0,
            "loss_weight": 1.0,
        },
    }


def matching_config() -> dict[str, Any]:
    """Configuration of the matching."""
    return {
        "assigner": {
            "type": "HungarianAssigner",
            "match_costs": [
                {"type": "ClassificationCost", "weight": 1.0},
                {"type": "FocalLossCost", "weight": 20.0, "binary_input": True},
                {"type": "DiceCost", "weight": 1.0, "pred_act": True, "eps": 1.0},
            ],
        },
        "sampler": {"type": "MaskPseudoSampler"},
    }


def _attention(base: Base) -> dict[str, Any]:
    return {"embed_dims": base.channels, "num_heads": base.heads, "dropout": _DROPOUT, "batch_first": True}


def _mlp(width: int, hidden: int) -> dict[str, Any]:
    return {
        "embed_dims": width,
        "feedforward_channels": hidden,
        "num_fcs": 2,
        "ffn_drop": _DROPOUT,
        "act_cfg": {"type": "ReLU", "inplace": True},
    }
