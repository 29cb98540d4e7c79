"""From the recipe's base section to a segmentor, whatever its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.backbone_weights import REMEDY, read_backbone
from scaseg_cli.base.classifier import ClassProjector, CosineClassifier
from scaseg_cli.base.mask2former import resnet_config
from scaseg_cli.base.v2c import V2CAlignment
from scaseg_cli.checkpoints import load_module
from scaseg_cli.errors import ScasegError

mmcv_ops.install()  # before anything of mmdet's models

from mmdet.models.backbones import ResNet  # noqa: E402

if TYPE_CHECKING:
    from types import ModuleType

    from scaseg_cli.base.aligned_network import AlignedNetwork
    from scaseg_cli.clip.model import ClipModel
    from scaseg_cli.recipe.schema import Backbone, Base
    from scaseg_cli.tasks import Task


def build_backbone(backbone: Backbone) -> ResNet:
    """MMDetection's ResNet with random weights; without its max-pooling where the recipe says so."""
    resnet = ResNet(**resnet_config(backbone))
    _without_max_pool(resnet, backbone)
    return resnet


def _without_max_pool(resnet: nn.Module, backbone: Backbone) -> None:
    if not backbone.max_pool:
        resnet.maxpool = nn.Identity()


def build_network(base: Base, seen_SC: Tensor, clip: ClipModel | None, task: Task) -> AlignedNetwork:
    """The segmentor of stage 1 with freshly drawn weights.

    Args:
        base: the recipe's section.
        seen_SC: unit embeddings of the seen classes.
        clip: the frozen CLIP for V2C; None builds no alignment (for inference, or where V2C is off).
        task: its labels decide on the host.
    """
    num_seen, embedding_dim = seen_SC.shape
    classifier = CosineClassifier(ClassProjector(base.channels, embedding_dim), seen_SC, base.tau)
    network: AlignedNetwork = _host(task).build(base, classifier, num_seen)
    _initialise(network)
    _without_max_pool(network.backbone, base.backbone)
    if clip is not None and base.v2c.enabled:
        network.v2c = V2CAlignment(base.v2c, clip)
    return network


def _host(task: Task) -> ModuleType:
    """The host's module; imported here, since each brings a large package."""
    if task.labels == "semantic":
        from scaseg_cli.base.hosts import semantic

        return semantic
    from scaseg_cli.base.hosts import panoptic

    return panoptic


def _initialise(network: AlignedNetwork) -> None:
    """The host's own initialisation, without the line a parameter that mmengine would log."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("WARNING")
    network.backbone.init_weights()
    network.head.init_weights()
    logger.setLevel(level)


def synchronise_norms(network: AlignedNetwork, device: torch.device) -> None:
    """Let the backbone's BatchNorms take their statistics over all processes (`base.backbone.sync_norm`).

    Weights keep their names and values. The decoder has no BatchNorm.

    Raises:
        ScasegError: ``device`` is not a CUDA device: PyTorch synchronises nowhere else.
    """
    if device.type != "cuda":
        raise ScasegError(
            f"base.backbone.sync_norm needs CUDA devices, and this run computes on {device.type}",
            "--set base.backbone.sync_norm=false, or --gpus N",
        )
    network.backbone = nn.SyncBatchNorm.convert_sync_batchnorm(network.backbone)


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
