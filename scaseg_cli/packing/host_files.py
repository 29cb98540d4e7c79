"""A segmentor with its classifier as a checkpoint and a configuration of MMDetection or MMSegmentation.

The host's class head is one linear layer of queries. Ours is an MLP, a scaling to unit length and a linear layer, so it
cannot be folded into the host's: the configuration imports a head (`base/standalone/`), which needs the host alone. Of
our head, the class vectors, the temperature and the increment become that last linear layer and its bias.

Shapes: K classes, M names, C embedding width.
"""

from __future__ import annotations

from importlib import resources
from pprint import pformat
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.base.backbones import feature_maps, pixel_statistics
from scaseg_cli.base.mask2former import head_config, matching_config, resnet_config
from scaseg_cli.base.timm_backbone import TimmBackbone
from scaseg_cli.drawing.class_styles import palette_colour
from scaseg_cli.files import write_text
from scaseg_cli.tasks import task_of
from scaseg_cli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from scaseg_cli.prediction.model import Model
    from scaseg_cli.recipe.schema import Recipe

CONFIG, CHECKPOINT = "config.py", "checkpoint.pth"
_PARTS = "scaseg_parts"


class Host(NamedTuple):
    """The library that a checkpoint is for, and how it is called.

    Attributes:
        library: its name.
        scope: its package.
        load, segment: functions of its API.
    """

    library: str
    scope: str
    load: str
    segment: str


HOSTS = {
    "panoptic": Host("MMDetection", "mmdet", "init_detector", "inference_detector"),
    "semantic": Host("MMSegmentation", "mmseg", "init_model", "inference_model"),
}


def host_of(recipe: Recipe) -> Host:
    """The library that hosts the recipe's task."""
    return HOSTS[task_of(recipe).labels]


def class_order(model: Model) -> list[int]:
    """The vocabulary's classes in the order of the checkpoint: MMDetection needs things before stuff."""
    order = list(range(len(model.vocabulary.classes)))
    if task_of(model.recipe).labels == "panoptic":
        order.sort(key=lambda k: not model.vocabulary.classes[k].isthing)
    return order


def write_host_files(folder: Path, model: Model) -> list[str]:
    """Write the checkpoint, the configuration and what it imports; returns the files' names.

    Args:
        folder: where to.
        model: the segmentor with the classifier over its vocabulary, on the CPU.
    """
    order = class_order(model)
    chosen = [model.vocabulary.classes[k] for k in order]
    meta: dict[str, Any] = {
        "classes": [one.name for one in chosen],
        "palette": [list(palette_colour(k)) for k in order],
    }
    if task_of(model.recipe).labels == "panoptic":
        meta["thing_classes"] = [one.name for one in chosen if one.isthing]
        meta["stuff_classes"] = [one.name for one in chosen if not one.isthing]
    weights, head = class_head(model, order)
    network = model.segmentor.network
    prefix = next(name for name, module in network.named_children() if module is network.head)
    state = {
        name: tensor.detach().clone()
        for name, tensor in network.state_dict().items()
        if not name.startswith((f"{prefix}.cls_embed.", "v2c."))
    }
    state |= {f"{prefix}.cls_embed.{name}": tensor for name, tensor in weights.items()}
    head_module = f"scaseg_{task_of(model.recipe).labels}_head"
    modules = [_PARTS, head_module]
    torch.save(
        {"state_dict": state, "meta": {"dataset_meta": meta, "scaseg_version": __version__}}, folder / CHECKPOINT
    )
    write_text(folder / CONFIG, _config_text(model, head, meta, modules))
    for name in modules:
        source = resources.files("scaseg_cli.base.standalone") / f"{name}.py"
        write_text(folder / f"{name}.py", source.read_text(encoding="utf-8"))
    return [CONFIG, CHECKPOINT, *(f"{name}.py" for name in modules)]


def class_head(model: Model, order: list[int]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights and the configuration of a standalone class head with the model's logits.

    Args:
        model: the segmentor with the classifier over its vocabulary.
        order: the vocabulary's classes in the order of the logits.
    """
    classifier = model.candidate.classifier
    num_seen, increment = model.vocabulary.num_seen, model.candidate.increment
    raised_K = torch.tensor([increment if k >= num_seen else 0.0 for k in range(len(order))])
    config = {
        "type": "CosineClassHead",
        "visual_dim": classifier.projector.visual_dim,
        "embedding_dim": classifier.projector.embedding_dim,
    }
    if classifier.names is None or classifier.names_of_class is None:
        rows, bias = classifier.embeddings[order], raised_K[order]
    else:
        rows, bias = classifier.names, torch.zeros(len(classifier.names))
        bias[classifier.names_of_class] = raised_K[:, None].expand_as(classifier.names_of_class)
        config["names_of_class"] = classifier.names_of_class[order].tolist()
    config["num_vectors"] = len(rows)
    weights = {
        f"{layer}.{kind}": getattr(classifier.projector[layer], kind) for layer in (0, 2) for kind in ("weight", "bias")
    }
    weights["4.weight"] = torch.cat([rows, F.normalize(classifier.no_object, dim=0)[None]]) / classifier.tau
    weights["4.bias"] = F.pad(bias, (0, 1))
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}, config


def _backbone(model: Model) -> dict[str, Any]:
    built, backbone = model.segmentor.network.backbone, model.recipe.base.backbone
    if isinstance(built, TimmBackbone):
        return {"type": "TimmFeatures", "name": built.name, "indices": list(built.indices)}
    kind = "mmdet.ResNet" if backbone.max_pool else "ResNetWithoutMaxPool"
    return {"type": kind, **resnet_config(backbone)}


def _config_text(model: Model, classes_config: dict[str, Any], meta: dict[str, Any], modules: list[str]) -> str:
    recipe = model.recipe
    host, kind = host_of(recipe), task_of(recipe).labels
    base, network = recipe.base, model.segmentor.network
    mean, std = pixel_statistics(base.backbone)
    num_classes = len(meta["classes"])
    head: dict[str, Any] = head_config(base, feature_maps(base.backbone, network.backbone), num_classes)
    head = {"type": f"Cosine{kind.capitalize()}Head", "class_head": classes_config, **head}
    resize = {"type": "Resize", "scale": (base.eval_max_size, base.eval_size), "keep_ratio": True}
    loaded = [{"type": "LoadImageFromFile"}, resize, {"type": "PadBlack", "divisor": 32}]
    values: dict[str, Any] = {
        "default_scope": host.scope,
        "custom_imports": {"imports": modules, "allow_failed_imports": False},
    }
    if kind == "panoptic":
        head |= {"num_things_classes": len(meta["thing_classes"]), "num_stuff_classes": len(meta["stuff_classes"])}
        values["model"] = {
            "type": "Mask2Former",
            "data_preprocessor": {"type": "DetDataPreprocessor", "mean": mean, "std": std, "bgr_to_rgb": True},
            "backbone": _backbone(model),
            "panoptic_head": head,
            "panoptic_fusion_head": {
                "type": "MaskFormerFusionHead",
                "num_things_classes": head["num_things_classes"],
                "num_stuff_classes": head["num_stuff_classes"],
                "loss_panoptic": None,
            },
            "train_cfg": matching_config(base),
            "test_cfg": {
                "panoptic_on": True,
                "semantic_on": False,
                "instance_on": False,
                "object_mask_thr": recipe.evaluation.object_threshold,
                "iou_thr": recipe.evaluation.overlap_threshold,
                "filter_low_score": True,
            },
        }
        pack, dataset = "PackDetInputs", {"type": "CocoPanopticDataset", "data_prefix": {"img": "", "seg": ""}}
    else:
        values["model"] = {
            "type": "EncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor", "mean": mean, "std": std, "bgr_to_rgb": True},
            "backbone": _backbone(model),
            "decode_head": {**head, "num_classes": num_classes, "train_cfg": matching_config(base)},
            "train_cfg": {},
            "test_cfg": {"mode": "whole"},
        }
        pack, dataset = "PackSegInputs", {"type": "BaseSegDataset"}
    keys = ("img_path", "ori_shape", "img_shape", "pad_shape", "padding_size", "scale_factor")
    values["test_pipeline"] = [*loaded, {"type": pack, "meta_keys": keys}]
    lines = [
        f"{name} = {pformat(value, width=116, compact=True, sort_dicts=False)}\n" for name, value in values.items()
    ]
    data = {**dataset, "metainfo": meta, "lazy_init": True, "test_mode": True}
    shown = (
        pformat(data, width=116, compact=True, sort_dicts=False).removesuffix("}") + ",\n 'pipeline': test_pipeline}"
    )
    return (
        f"# A segmentor of scaseg {__version__} for {host.library}: recipe {recipe.name}, {model.candidate.name}.\n"
        "# It imports two files that are beside it, which need no scaseg.\n"
        "import sys\n\n"
        "sys.path.insert(0, '{{ fileDirname }}')\n\n"
        + "\n".join(lines)
        + f"\ntest_dataloader = {{'dataset': {shown}}}\n"
    )
