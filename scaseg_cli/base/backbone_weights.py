"""Finds the backbone's pre-trained weights: shipped, in a cache, on the network, in a package, or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaseg_cli.checkpoints import load_tensors, plain_state, read_state_dict
from scaseg_cli.downloads import by_hand
from scaseg_cli.errors import DOCTOR, ScasegError
from scaseg_cli.hub import cached, downloading, fetched, hub_by_hand
from scaseg_cli.packages import is_packaged, packaged_file

SHIPPED_BACKBONE = "shapes-backbone"
SHIPPED_FILE = Path(__file__).parents[1] / "shapes" / "backbone.safetensors"
TORCHVISION = "torchvision://"
TIMM = "timm"  # the weights that timm lists for its network
REMEDY = "Set a file of torchvision-style ResNet weights: --set base.backbone.checkpoint=PATH"
TIMM_REMEDY = "Set a file of weights with timm's names: --set base.backbone.checkpoint=PATH"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def read_backbone(checkpoint: str, network: str | None = None) -> tuple[Path, dict[str, Tensor]]:
    """Read a checkpoint's weights; returns their file and the weights.

    Args:
        checkpoint: ``shapes-backbone`` (shipped), ``torchvision://NAME`` or ``timm`` (from the local cache or the
            network), ``package://NAME`` (of an installed package), or a file (.pth or .safetensors).
        network: the name of timm's network; None for a ResNet.

    Raises:
        ScasegError: the weights are damaged, or are missing and cannot be downloaded.
    """
    if checkpoint == SHIPPED_BACKBONE:
        return SHIPPED_FILE, load_tensors(SHIPPED_FILE, checkpoint, "Make it with `scaseg shapes train-backbone`.")[0]
    remedy = REMEDY if network is None else TIMM_REMEDY
    if checkpoint == TIMM and network is not None:
        path = timm_file(network) or _fetched_timm(network)
        return path, read_state_dict(path, f"Delete it to download it again. Or: {remedy}")
    if not checkpoint.startswith(TORCHVISION):
        path = packaged_file(checkpoint, "*.pth") if is_packaged(checkpoint) else Path(checkpoint)
        return path, read_state_dict(path, remedy)
    path, url = torchvision_file(checkpoint)
    if path.is_file():
        return path, read_state_dict(path, f"Delete it to download it again. Or: {REMEDY}")
    return path, _fetched(checkpoint.removeprefix(TORCHVISION), path, url)


def torchvision_file(checkpoint: str) -> tuple[Path, str]:
    """The cache path and the URL of the ImageNet weights that ``torchvision://NAME`` names.

    Raises:
        ScasegError: torchvision has no such weights.
    """
    import torchvision

    name = checkpoint.removeprefix(TORCHVISION)
    try:
        weights: Any = torchvision.models.get_model_weights(name)
        url = str(weights["IMAGENET1K_V1"].url)
    except (ValueError, KeyError) as error:
        raise ScasegError(f"torchvision has no ImageNet weights named {name!r}", REMEDY) from error
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], url


def _fetched(name: str, path: Path, url: str) -> dict[str, Tensor]:
    hint = f"With a network: {by_hand(url, path)}\n{REMEDY}\n{DOCTOR}"
    with downloading(url, f"the weights of torchvision's {name}", hint, path):
        state = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    return plain_state(state, path, REMEDY)


def timm_file(network: str) -> Path | None:
    """The weights of timm's ``network`` in the hub's cache on this machine, or None; does not use the network."""
    return cached(_timm_repository(network), _HUB_FILES)


def timm_by_hand(network: str) -> str:
    """The shell command that downloads the weights of timm's ``network``, and the setting that takes them."""
    name = f"{network}.safetensors"
    fetch = hub_by_hand(_timm_repository(network), _HUB_FILES[0], Path(name))
    return f"{fetch}  then set the file: --set base.backbone.checkpoint={name}"


def _timm_repository(network: str) -> str:
    """The hub's repository of the weights that timm lists for ``network``.

    Raises:
        ScasegError: timm has no such network, or lists no weights on the hub for it.
    """
    from timm.models import get_pretrained_cfg

    from scaseg_cli.base.timm_backbone import check_name

    check_name(network)
    listed = get_pretrained_cfg(network)
    if listed is None or not listed.hf_hub_id:
        raise ScasegError(f"timm lists no weights on the hub for its network {network!r}", TIMM_REMEDY)
    return str(listed.hf_hub_id)


def _fetched_timm(network: str) -> Path:
    repository = _timm_repository(network)
    hint = f"With a network: {timm_by_hand(network)}\n{TIMM_REMEDY}\n{DOCTOR}"
    return fetched(repository, _HUB_FILES, f"the weights of timm's {network} ({repository})", hint)
