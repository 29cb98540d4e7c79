"""Reads weight files: PyTorch and safetensors state dicts, and OpenAI's TorchScript archives."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from scaseg_cli.checkpoints import load_module, plain_state, read_state_dict, unreadable
from scaseg_cli.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

_REMEDY = "Set a complete weight file of clip.model: --set clip.checkpoint=PATH (or change --set clip.model)."
# OpenAI's archives contain these besides the weights; the architecture implies them.
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")


@dataclass(frozen=True)
class Weights:
    """The contents of a weight file.

    Attributes:
        path: the file, for error messages.
        state: tensors by parameter name.
        quick_gelu: whether the model uses the sigmoid approximation of GELU (all of OpenAI's do).
        preprocess: "mean" and "std" of the images, if known to differ from the model's defaults.
    """

    path: Path
    state: dict[str, Tensor]
    quick_gelu: bool = False
    preprocess: dict[str, Any] = field(default_factory=dict)


def read_weights(path: Path) -> Weights:
    """Read a weight file without running any code in it.

    An ``open_clip_config.json`` next to the file, as in model repositories, gives activation and image statistics.

    Raises:
        ScasegError: the file is damaged, of unknown type, or contains more than tensors.
    """
    archive = _is_torchscript(path)
    state = _read_archive(path) if archive else read_state_dict(path, _REMEDY)
    config: dict[str, Any] = {}
    if (beside := path.with_name("open_clip_config.json")).is_file():
        config = read_json(beside, "the model's configuration")
    preprocess = {key: value for key, value in config.get("preprocess_cfg", {}).items() if key in ("mean", "std")}
    return Weights(path, state, archive or bool(config.get("model_cfg", {}).get("quick_gelu")), preprocess)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        return any(name.endswith("/constants.pkl") for name in file.namelist())


def _read_archive(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.jit.load(str(path), map_location="cpu").state_dict()
    except (RuntimeError, OSError, ValueError) as error:
        raise unreadable(path, error, _REMEDY) from error
    return plain_state({name: item for name, item in state.items() if name not in _NOT_WEIGHTS}, path, _REMEDY)


def put_weights(module: nn.Module, weights: Weights) -> None:
    """Load ``weights`` into an open_clip model; every name and shape must match.

    Old parameter names are converted as in open_clip. Nothing is resized: another image size means the wrong model.

    Raises:
        ScasegError: tensors are missing, unexpected or of another shape; names up to three.
    """
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    own = module.state_dict()
    state = convert_state_dict(module, dict(weights.state))
    if "positional_embedding" in state and "positional_embedding" not in own:
        state = convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in own and state[name].numel() == own[name].numel():
            state[name] = state[name].reshape(own[name].shape)  # a scalar in some files, of shape [1] in others
    load_module(module, state, weights.path, _REMEDY)
