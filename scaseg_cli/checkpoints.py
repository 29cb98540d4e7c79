"""Tensors on disk: results as safetensors with a header that says what they are; progress as plain state."""

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
    """Write ``tensors`` to ``path`` in one piece, marked as ``kind`` ("base", "queries"), with ``meta`` as JSON.

    Raises:
        ScasegError: it cannot be written, as on a full disk; what stood there stays.
    """
    header = {"scaseg": json.dumps({"kind": kind, **(meta or {})}, sort_keys=True)}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replaced(path) as temporary:
        try:
            save_file(contiguous, str(temporary), metadata=header)
        except SafetensorError as error:  # what the system refused, in words of its own
            raise OSError(first_line(error)) from error


def load_tensors(path: Path, kind: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Args:
        path: the file.
        kind: what it must be.
        remedy: what makes it anew, for the errors.

    Raises:
        ScasegError: missing, cut short, or of another kind (a checkpoint of another stage).
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
        raise ScasegError(f"{path} is damaged or cut short: {error}", remedy) from error


def load_module(module: nn.Module, tensors: dict[str, Tensor], path: Path, remedy: str) -> None:
    """Put ``tensors`` into ``module``; every key and shape must fit.

    Raises:
        ScasegError: keys are missing, unexpected, or of another shape; up to three are named.
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
    """The weights in a file that others made: safetensors, or a PyTorch file read as weights alone.

    Raises:
        ScasegError: missing, damaged, or no state dict.
    """
    if not path.is_file():
        raise ScasegError(f"{path} does not exist", remedy)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise unreadable(path, error, remedy) from error
    return plain_state(content, path, remedy)


def unreadable(path: Path, error: Exception, remedy: str) -> ScasegError:
    """The error of a file that is no weights."""
    return ScasegError(
        f"{path} cannot be read as weights; it is damaged, cut short, or of another kind: {first_line(error)}", remedy
    )


def plain_state(content: Any, path: Path, remedy: str) -> dict[str, Tensor]:
    """The state dict in what was read: bare, or as "state_dict" of a training checkpoint, maybe of a wrapped model.

    Raises:
        ScasegError: there is none.
    """
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content or not all(isinstance(item, Tensor) for item in content.values()):
        raise ScasegError(f"{path} holds no state dict: names with one tensor each are wanted", remedy)
    wrapped = all(name.startswith("module.") for name in content)
    return {name.removeprefix("module.") if wrapped else name: tensor for name, tensor in content.items()}


def first_line(error: Exception) -> str:
    """What an error says, without torch's advice below it; its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training's progress in one piece: tensors, numbers, text, lists and dicts alone.

    Raises:
        ScasegError: it cannot be written, as on a full disk; what stood there stays.
    """
    with replaced(path) as temporary, open(temporary, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # of torch's ZIP writer; the file's own error says why
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def load_state(path: Path, key: str) -> dict[str, Any] | None:
    """A training's progress, or None where there is none of this ``key`` (the stage's key) to go on from.

    Raises:
        ScasegError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ScasegError(
            f"{path} is damaged or cut short: {first_line(error)}",
            "Delete it and start the command again: the stage then begins anew.",
        ) from error
    return state if isinstance(state, dict) and state.get("key") == key else None
