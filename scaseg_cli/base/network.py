"""From the recipe's base section to MMDetection's Mask2Former."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from torch import Tensor, nn

from scaseg_cli.base.backbone_weights import REMEDY, read_backbone
from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.base.head import SemanticHead, SemanticMask2Former
from scaseg_cli.base.v2c import V2CAlignment
from scaseg_cli.checkpoints import load_module

from mmdet.models import DetDataPreprocessor  # isort: skip  after head, which makes mmdet's models importable
from mmdet.models.backbones import ResNet  # isort: skip

if TYPE_CHECKING:
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.recipe.schema import Backbone, Base

PIXEL_MEAN = (123.675, 116.28, 103.53)  # ImageNet's, RGB 0..255, as torchvision's ResNets were trained
PIXEL_STD = (58.395, 57.12, 57.375)


def _resnet_config(backbone: Backbone) -> dict[str, Any]:
    return {
        "type": "ResNet",
        "depth": backbone.depth,
        "stem_channels": backbone.width,
        "base_channels": backbone.width,
        "out_indices": (0, 1, 2, 3),
        "frozen_stages": backbone.frozen_stages,
        "norm_cfg": {"type": "BN", "requires_grad": not backbone.frozen_norm},
        "norm_eval": backbone.frozen_norm,
        # a residual branch that begins at zero stays there where the norm that scales it is not trained
        "zero_init_residual": not backbone.frozen_norm,
        "style": "pytorch",
    }


def build_backbone(backbone: Backbone) -> ResNet:
    """MMDetection's ResNet with random weights; without its max-pooling where the recipe says so."""
    config = _resnet_config(backbone)
    del config["type"]
    resnet = ResNet(**config)
    _without_max_pool(resnet, backbone)
    return resnet


def _without_max_pool(resnet: nn.Module, backbone: Backbone) -> None:
    if not backbone.max_pool:
        resnet.maxpool = nn.Identity()


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


def _head_config(base: Base, num_seen: int) -> dict[str, Any]:
    """Mask2FormerHead's configuration: Mask2Former's own (R-50, COCO panoptic), with the recipe's sizes."""
    width = base.channels
    expansion = 1 if base.backbone.depth < 50 else 4
    stride = 4 if base.backbone.max_pool else 2
    position = {"num_feats": width // 2, "normalize": True}
    deformable = {**_attention(base), "num_levels": 3, "num_points": 4}
    return {
        "in_channels": [base.backbone.width * expansion * 2**i for i in range(4)],
        "strides": [stride * 2**i for i in range(4)],
        "feat_channels": width,
        "out_channels": width,
        "num_things_classes": num_seen,  # things and stuff are told apart by a table, not by class id
        "num_stuff_classes": 0,
        "num_queries": base.num_queries,
        "num_transformer_feat_level": 3,
        "pixel_decoder": {
            "type": "MSDeformAttnPixelDecoder",
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
            "type": "CrossEntropyLoss",
            "use_sigmoid": False,
            "loss_weight": 2.0,
            "reduction": "mean",
            "class_weight": [1.0] * num_seen + [base.no_object_weight],
        },
        "loss_mask": {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "mean", "loss_weight": 5.0},
        "loss_dice": {
            "type": "DiceLoss",
            "use_sigmoid": True,
            "activate": True,
            "reduction": "mean",
            "naive_dice": True,
            "eps": 1.0,
            "loss_weight": 5.0,
        },
    }


def _matching_config(base: Base) -> dict[str, Any]:
    return {
        "num_points": base.num_points,
        "oversample_ratio": 3.0,
        "importance_sample_ratio": 0.75,
        "assigner": {
            "type": "HungarianAssigner",
            "match_costs": [
                {"type": "ClassificationCost", "weight": 2.0},
                {"type": "CrossEntropyLossCost", "weight": 5.0, "use_sigmoid": True},
                {"type": "DiceCost", "weight": 5.0, "pred_act": True, "eps": 1.0},
            ],
        },
        "sampler": {"type": "MaskPseudoSampler"},
    }


def build_network(base: Base, seen_SC: Tensor, clip: ClipModel | None) -> SemanticMask2Former:
    """The segmentor of stage 1 with freshly drawn weights.

    Args:
        base: the recipe's section.
        seen_SC: unit embeddings of the seen classes.
        clip: the frozen CLIP for V2C; None builds no alignment (for inference, or where V2C is off).
    """
    num_seen, embedding_dim = seen_SC.shape
    classifier = CosineClassifier(ClassProjector(base.channels, embedding_dim), seen_SC, base.tau)
    config = ConfigDict(
        backbone=_resnet_config(base.backbone),
        panoptic_head={"type": SemanticHead, "classifier": classifier, **_head_config(base, num_seen)},
        panoptic_fusion_head={
            "type": "MaskFormerFusionHead",
            "num_things_classes": num_seen,
            "num_stuff_classes": 0,
            "loss_panoptic": None,
        },
        train_cfg=_matching_config(base),
        test_cfg={},
        data_preprocessor={"type": DetDataPreprocessor, "mean": PIXEL_MEAN, "std": PIXEL_STD, "bgr_to_rgb": False},
    )
    network = SemanticMask2Former(**config)
    _initialise(network)
    _without_max_pool(network.backbone, base.backbone)
    if clip is not None and base.v2c.enabled:
        network.v2c = V2CAlignment(base.v2c, clip)
    return network


def _initialise(network: SemanticMask2Former) -> None:
    """mmdet's own initialisation, without the line a parameter that mmengine would log."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("WARNING")
    network.backbone.init_weights()
    network.panoptic_head.init_weights()
    logger.setLevel(level)


def load_backbone(resnet: nn.Module, checkpoint: str | None) -> None:
    """Put pre-trained weights into the backbone.

    Args:
        resnet: the backbone.
        checkpoint: what `read_backbone` takes, or None: random weights.

    Raises:
        ScasegError: not there and not to be fetched, damaged, or of another architecture.
    """
    if checkpoint is None:
        return
    path, tensors = read_backbone(checkpoint)
    body = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    body = {name: tensor for name, tensor in body.items() if not name.startswith("fc.")}
    load_module(resnet, body, path, REMEDY)
