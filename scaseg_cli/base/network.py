"""Builds a segmentor on either host from the recipe's base section."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from scaseg_cli.base.backbone_weights import REMEDY, TIMM_REMEDY, read_backbone
from scaseg_cli.base.backbones import build_backbone
from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.base.constant_norm import part_norms
from scaseg_cli.base.timm_backbone import TimmBackbone
from scaseg_cli.base.v2c import V2CAlignment
from scaseg_cli.checkpoints import load_module
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.embeddings.synonym_vectors import SynonymVectors
    from scaseg_cli.recipe.base_section import Base
    from scaseg_cli.tasks import Task


def build_network(
    base: Base, seen_SC: Tensor, clip: ClipModel | None, task: Task, synonyms: SynonymVectors | None = None
) -> AlignedNetwork:
    """Build the segmentor of stage 1 with new random weights.

    Args:
        base: the recipe's section.
        seen_SC: unit embeddings of the seen classes.
        clip: the frozen CLIP for V2C; None builds no alignment (for inference, or if V2C is off).
        task: the task; its kind of labels determines the host.
        synonyms: the vectors of all names of the seen classes, as for `CosineClassifier`.
    """
    num_seen, embedding_dim = seen_SC.shape
    classifier = CosineClassifier(ClassProjector(base.channels, embedding_dim), seen_SC, base.tau, synonyms)
    backbone = build_backbone(base.backbone)
    host = importlib.import_module(host_module(task))
    network: AlignedNetwork = host.build(base, backbone, classifier, num_seen)
    _initialise(network)
    if clip is not None and base.v2c.enabled:
        network.v2c = V2CAlignment(base.v2c, clip)
    return network


def host_module(task: Task) -> str:
    """The name of the host's module, which is imported when it is needed: each host needs a large package."""
    return f"scaseg_cli.base.hosts.{task.labels}"


def _initialise(network: AlignedNetwork) -> None:
    """Run the host's initialisation without mmengine's log line per parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("WARNING")
    network.backbone.init_weights()
    network.head.init_weights()
    logger.setLevel(level)


def synchronise_norms(network: AlignedNetwork, device: torch.device) -> None:
    """Synchronise the statistics of the backbone's BatchNorms over all processes (`base.backbone.sync_norm`).

    Weights keep their names and values. The decoder has no BatchNorm.

    Raises:
        ScasegError: ``device`` is not a CUDA device; PyTorch supports no other.
    """
    if device.type != "cuda":
        raise ScasegError(
            f"base.backbone.sync_norm needs CUDA devices, but this run uses {device.type}",
            "Use --set base.backbone.sync_norm=false, or --gpus N.",
        )
    part_norms(network.backbone)
    network.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(network.backbone)


def load_backbone(backbone: nn.Module, checkpoint: str | None) -> None:
    """Load pre-trained weights into the backbone.

    Args:
        backbone: the backbone.
        checkpoint: an argument of `read_backbone`, or None for random weights.

    Raises:
        ScasegError: the weights are damaged, for another architecture, or missing and cannot be downloaded.
    """
    if checkpoint is None:
        return
    path, tensors = read_backbone(checkpoint, backbone.name if isinstance(backbone, TimmBackbone) else None)
    body = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    if isinstance(backbone, TimmBackbone):
        load_module(backbone.body, backbone.body_weights(body), path, TIMM_REMEDY)
        return
    body = {name: tensor for name, tensor in body.items() if not name.startswith("fc.")}
    load_module(backbone, body, path, REMEDY)
