"""Reads weight files as data: PyTorch and safetensors state dicts, and OpenAI's TorchScript archives."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaseg_cli.checkpoints import load_module, plain_state, read_state_dict, unreadable
from scaseg_cli.clip.torchscript import UnsafeArchiveError, is_torchscript, read_torchscript
from scaseg_cli.errors import ScasegError
from scaseg_cli.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

_REMEDY = "Set a complete weight file of clip.model: --set clip.checkpoint=PATH (or change --set clip.model)."
_CONVERT = (
    "If you trust its source, save torch.jit.load(FILE).state_dict() with safetensors.torch.save_file, and set that "
    "file: --set clip.checkpoint=FILE.safetensors"
)
# What zipfile and pickletools raise for damaged or unusual files (encrypted, or compressed in a way of its own).
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)
# Archives contain these besides the weights; the architecture implies them.
_SCALARS = {"input_resolution", "context_length", "vocab_size"}  # in OpenAI's state dicts, and in no others
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask", "text.attn_mask")


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

    OpenAI's weights use an approximation of GELU. They are recognised as their TorchScript archive, or as a plain state
    dict by the three scalars that the archive's has besides the weights. An ``open_clip_config.json`` next to the file,
    as in model repositories, gives activation and image statistics.

    Raises:
        ScasegError: the file is damaged, of unknown type, or contains more than tensors.
    """
    archive = _is_archive(path)
    state = _read_archive(path) if archive else read_state_dict(path, _REMEDY)
    of_openai = archive or state.keys() >= _SCALARS
    quick_gelu, preprocess = _beside(path)
    state = {name: tensor for name, tensor in state.items() if name not in _NOT_WEIGHTS}
    return Weights(path, state, of_openai or quick_gelu, preprocess)


def _beside(path: Path) -> tuple[bool, dict[str, Any]]:
    """Activation and image statistics of the configuration next to a weight file; none where there is no such file."""
    file = path.with_name("open_clip_config.json")
    if not file.is_file():
        return False, {}
    config = read_json(file, "the model's configuration")
    sections: list[Any] = [
        config.get(name, {}) if isinstance(config, dict) else None for name in ("model_cfg", "preprocess_cfg")
    ]
    if not all(isinstance(section, dict) for section in sections):
        raise ScasegError(f"{file} is not a configuration of open_clip", "Delete it, or download it again.")
    preprocess = {key: sections[1][key] for key in ("mean", "std") if key in sections[1]}
    for key, value in preprocess.items():
        if not (isinstance(value, list) and len(value) == 3 and all(isinstance(x, int | float) for x in value)):
            raise ScasegError(f"{file} has a preprocess_cfg.{key} that is not three numbers", "Correct it.")
    return bool(sections[0].get("quick_gelu")), preprocess


def _is_archive(path: Path) -> bool:
    try:
        return is_torchscript(path)
    except _DAMAGED as error:
        raise unreadable(path, error, _REMEDY) from error


def _read_archive(path: Path) -> dict[str, Tensor]:
    try:
        state = read_torchscript(path)
    except UnsafeArchiveError as error:
        raise ScasegError(
            f"{path} is a TorchScript archive from which no tensors are read: {error}", _CONVERT
        ) from error
    except _DAMAGED as error:
        raise unreadable(path, error, _REMEDY) from error
    # masks, which the architecture implies, hold infinite values
    return plain_state({name: item for name, item in state.items() if not name.endswith("attn_mask")}, path, _REMEDY)


def put_weights(module: nn.Module, weights: Weights) -> None:
    """Load ``weights`` into an open_clip model; every name and shape must match.

    Old parameter names are converted as in open_clip. Nothing is resized: another image size means the wrong model.

    Raises:
        ScasegError: tensors are missing, unexpected or of another shape; names up to three.
    """
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    own = module.state_dict()
    try:
        state = convert_state_dict(module, dict(weights.state))
    except Exception as error:  # open_clip and timm expect complete files, and raise many types
        raise unreadable(weights.path, error, _REMEDY) from error
    if "positional_embedding" in state and "positional_embedding" not in own:
        state = convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in own and state[name].numel() == own[name].numel():
            state[name] = state[name].reshape(own[name].shape)  # a scalar in some files, of shape [1] in others
    load_module(module, state, weights.path, _REMEDY)
