"""Tensors on disk: results as safetensors whose header states their kind, training progress as PyTorch files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import replaced

if TYPE_CHECKING:
    from pathlib import Path


def save_tensors(path: Path, kind: str, tensors: dict[str, Tensor], meta: dict[str, Any] | None = None) -> None:
    """Write ``tensors`` to ``path`` atomically, marked as ``kind`` ("base", "queries"), with ``meta`` as JSON.

    Raises:
        ScasegError: the file cannot be written, as on a full disk; an existing file is kept.
    """
    header = {"scaseg": json.dumps({"kind": kind, **(meta or {})}, sort_keys=True)}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replaced(path) as temporary:
        try:
            save_file(contiguous, str(temporary), metadata=header)
        except SafetensorError as error:  # wraps the system's error without its errno
            raise OSError(first_line(error)) from error


def load_tensors(path: Path, kind: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file that `save_tensors` wrote.

    Args:
        path: the file.
        kind: the kind that the file must have.
        remedy: hint for the errors: how to create the file again.

    Raises:
        ScasegError: the file is missing, truncated, or of another kind (a checkpoint of another stage).
    """
    if not path.is_file():
        raise ScasegError(f"{path} does not exist", remedy)
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("scaseg", "{}"))
            if header.get("kind") != kind:
                found = header.get("kind", "something else")
                raise ScasegError(f"{path} holds {found}, not {kind}", remedy)
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ScasegError(f"{path} is damaged or truncated: {error}", remedy) from error


def load_module(module: nn.Module, tensors: dict[str, Tensor], path: Path, remedy: str) -> None:
    """Load ``tensors`` into ``module``; all keys and shapes must match.

    Raises:
        ScasegError: keys are missing or unexpected, or shapes differ; the message names up to three.
    """
    own = module.state_dict()
    missing = sorted(set(own) - set(tensors))
    unexpected = sorted(set(tensors) - set(own))
    misshapen = sorted(name for name in set(own) & set(tensors) if own[name].shape != tensors[name].shape)
    for what, names in (("lacks", missing), ("has unexpected", unexpected), ("has other shapes for", misshapen)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ScasegError(f"{path} {what} {', '.join(names[:3])}{more}", remedy)
    module.load_state_dict(tensors)


def read_state_dict(path: Path, remedy: str) -> dict[str, Tensor]:
    """Read the weights of an external checkpoint: safetensors, or a PyTorch file with ``weights_only``.

    Raises:
        ScasegError: the file is missing or damaged, or has no state dict.
    """
    if not path.is_file():
        raise ScasegError(f"{path} does not exist", remedy)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises many types in torch and safetensors
        raise unreadable(path, error, remedy) from error
    return plain_state(content, path, remedy)


def unreadable(path: Path, error: Exception, remedy: str) -> ScasegError:
    """The error for a file that cannot be read as weights."""
    return ScasegError(
        f"{path} cannot be read as weights; it is damaged, truncated, or of another kind: {first_line(error)}", remedy
    )


def plain_state(content: Any, path: Path, remedy: str) -> dict[str, Tensor]:
    """The state dict in a checkpoint: at the top level or under "state_dict", with or without the prefix "module.".

    Raises:
        ScasegError: the checkpoint has none.
    """
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content or not all(isinstance(item, Tensor) for item in content.values()):
        raise ScasegError(f"{path} holds no state dict, which maps each name to one tensor", remedy)
    wrapped = all(name.startswith("module.") for name in content)
    return {name.removeprefix("module.") if wrapped else name: tensor for name, tensor in content.items()}


def first_line(error: Exception) -> str:
    """The first line of an error's message, without torch's advice below it; its type if the message is empty."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the progress of a training run atomically: only tensors, numbers, text, lists and dicts.

    Raises:
        ScasegError: the file cannot be written, as on a full disk; an existing file is kept.
    """
    with replaced(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # from torch's ZIP writer; the error of the file is its context
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def load_state(path: Path, key: str) -> dict[str, Any] | None:
    """The saved progress of a training run, or None if there is none with this ``key`` (the stage's key).

    Raises:
        ScasegError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises many types in torch
        raise ScasegError(
            f"{path} is damaged or truncated: {first_line(error)}",
            "Delete it and start the command again; the stage then starts from scratch.",
        ) from error
    return state if isinstance(state, dict) and state.get("key") == key else None
