"""Finds the backbone's pre-trained weights: shipped, in torchvision's cache, on the network, or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaseg_cli.checkpoints import load_tensors, plain_state, read_state_dict
from scaseg_cli.downloads import by_hand, limited_waits, unreachable
from scaseg_cli.errors import DOCTOR, ScasegError
from scaseg_cli.results.console import say

SHIPPED_BACKBONE = "shapes-backbone"
SHIPPED_FILE = Path(__file__).parents[1] / "shapes" / "backbone.safetensors"
TORCHVISION = "torchvision://"
REMEDY = "Set a file of torchvision-style ResNet weights: --set base.backbone.checkpoint=PATH"


def read_backbone(checkpoint: str) -> tuple[Path, dict[str, Tensor]]:
    """Read a checkpoint's weights; returns their file and the weights.

    Args:
        checkpoint: ``shapes-backbone`` (shipped), ``torchvision://NAME`` (from the local cache or the network), or a
            file (.pth or .safetensors, torchvision's key names).

    Raises:
        ScasegError: the weights are damaged, or are missing and cannot be downloaded.
    """
    if checkpoint == SHIPPED_BACKBONE:
        return SHIPPED_FILE, load_tensors(SHIPPED_FILE, checkpoint, "Make it with `scaseg shapes train-backbone`.")[0]
    if not checkpoint.startswith(TORCHVISION):
        return Path(checkpoint), read_state_dict(Path(checkpoint), REMEDY)
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
    problem = f"the weights of torchvision's {name} are not on this machine ({path}), and"
    if (reason := unreachable(url)) is not None:
        raise ScasegError(f"{problem} {url} cannot be reached: {reason}", hint)
    say(f"downloading the weights of torchvision's {name}")
    try:
        with limited_waits():
            state = torch.hub.load_state_dict_from_url(
                url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError) as error:
        raise ScasegError(f"{problem} downloading them failed: {error}", hint) from error
    return plain_state(state, path, REMEDY)
