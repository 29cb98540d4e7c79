"""Tensors on disk: results as safetensors whose header states their kind, training progress as PyTorch files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from scaseg_cli.errors import ScasegError
from scaseg_cli.files import replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DTYPES = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool,
}  # fmt: skip
_FROM_SCRATCH = "Delete it and start the command again; the stage then starts from scratch."


class NotFiniteError(ScasegError):
    """A tensor with infinite or NaN values was about to be written, as after a training that diverged.

    Args:
        path: the file.
        tensor: the dotted name of the tensor.
    """

    def __init__(self, path: Path, tensor: str) -> None:
        super().__init__(
            f"{path} was not written: {tensor} has infinite or NaN values",
            "The training diverged: lower its learning rate. An earlier file is kept.",
        )
        self.tensor = tensor


def save_tensors(path: Path, kind: str, tensors: dict[str, Tensor], meta: dict[str, Any] | None = None) -> None:
    """Write ``tensors`` to ``path`` atomically, marked as ``kind`` ("base", "queries"), with ``meta`` as JSON.

    Raises:
        NotFiniteError: a tensor has infinite or NaN values; an existing file is kept.
        ScasegError: the file cannot be written, as on a full disk; an existing file is kept.
    """
    _refuse_not_finite(path, tensors)
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
        ScasegError: the file is missing, truncated, or of another kind (a checkpoint of another stage), or has a
            tensor that `plain_state` refuses.
    """
    if not path.is_file():
        raise ScasegError(f"{path} does not exist", remedy)
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("scaseg", "{}"))
            found = header.get("kind", "something else") if isinstance(header, dict) else "something else"
            if found != kind:
                raise ScasegError(f"{path} holds {shown(found)}, not {kind}", remedy)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ScasegError(f"{path} is damaged or truncated: {first_line(error)}", remedy) from error
    _check_tensors(tensors, path, remedy)
    return tensors, header


def load_module(module: nn.Module, tensors: dict[str, Tensor], path: Path, remedy: str) -> None:
    """Load ``tensors`` into ``module``; all keys and shapes must match, and weights must be floating-point.

    Raises:
        ScasegError: keys are missing or unexpected, or shapes or types differ; the message names up to three.
    """
    own = module.state_dict()
    missing = sorted(set(own) - set(tensors))
    unexpected = sorted(set(tensors) - set(own))
    misshapen = sorted(name for name in set(own) & set(tensors) if own[name].shape != tensors[name].shape)
    integers = sorted(
        name for name in set(own) & set(tensors)
        if own[name].is_floating_point() and not tensors[name].is_floating_point()
    )  # fmt: skip
    problems = {
        "lacks": missing,
        "has unexpected": unexpected,
        "has other shapes for": misshapen,
        "has integers instead of floating-point values for": integers,
    }
    for what, names in problems.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise ScasegError(f"{path} {what} {', '.join(shown(name) for name in names[:3])}{more}", remedy)
    module.load_state_dict(tensors)


def read_state_dict(path: Path, remedy: str) -> dict[str, Tensor]:
    """Read the weights of an external checkpoint: safetensors, or a PyTorch file with ``weights_only``.

    Raises:
        ScasegError: the file is missing or damaged, or `plain_state` refuses its content.
    """
    if not path.is_file():
        raise ScasegError(f"{path} does not exist", remedy)
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
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
        ScasegError: the checkpoint has none; a key is not a name, or its value is not a dense tensor of finite real
            numbers. The message names the key.
    """
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        found = "an empty dict" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise ScasegError(f"{path} holds no state dict, which maps each name to one tensor, but {found}", remedy)
    for name, value in content.items():
        if not isinstance(name, str):
            raise ScasegError(f"{path} holds no state dict: its key {shown(name)} is not a name", remedy)
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ScasegError(f"{path} holds no state dict: {shown(name)} is a {kind}, not a tensor", remedy)
    _check_tensors(content, path, remedy)
    wrapped = all(name.startswith("module.") for name in content)
    return {name.removeprefix("module.") if wrapped else name: tensor for name, tensor in content.items()}


def _check_tensors(tensors: dict[str, Tensor], path: Path, remedy: str) -> None:
    """Check that all tensors in a file are dense, of a real type, and finite."""
    for name, tensor in tensors.items():
        if not _is_plain(tensor):
            kind = ", ".join(str(what).removeprefix("torch.") for what in (tensor.dtype, tensor.layout, tensor.device))
            raise ScasegError(f"{path} has a tensor that is not of dense real numbers: {shown(name)} ({kind})", remedy)
    if (bad := not_finite(tensors)) is not None:
        raise ScasegError(f"{path} has infinite or NaN values in {bad}", remedy)


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is dense and of an ordinary real type, with values."""
    return tensor.dtype in _DTYPES and tensor.layout == torch.strided and not tensor.is_meta


def not_finite(value: Any) -> str | None:
    """The dotted name of the first tensor with infinite or NaN values in nested dicts and lists, or None."""
    waiting: list[tuple[str, Any]] = [("", value)]
    entered: set[int] = set()  # a list in a file can contain itself
    while waiting:
        prefix, item = waiting.pop()
        if isinstance(item, Tensor):
            if item.is_floating_point() and not (_is_plain(item) and _is_finite(item)):
                return prefix or "the tensor"
        elif isinstance(item, dict | list | tuple) and id(item) not in entered:
            entered.add(id(item))
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            waiting += reversed([(f"{prefix}.{shown(key)}" if prefix else shown(key), inner) for key, inner in pairs])
    return None


def _is_finite(tensor: Tensor) -> bool:
    """Whether all values are finite: then the least and the greatest are, which are found without a map of flags."""
    return not tensor.numel() or all(math.isfinite(end.item()) for end in tensor.detach().aminmax())


def fingerprint_of(tensors: dict[str, Tensor]) -> str:
    """SHA-256 (hexadecimal) over names, types, shapes and bytes of the tensors, in the order of their names.

    It is independent of device and memory layout.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def shown(name: object) -> str:
    """A name from a file as errors show it: at most 80 characters, all of which are printable."""
    text = name if isinstance(name, str) and name.isprintable() else repr(name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refuse_not_finite(path: Path, content: Any) -> None:
    if (name := not_finite(content)) is not None:
        raise NotFiniteError(path, name)


def first_line(error: Exception) -> str:
    """The first line of an error's message, without torch's advice below it; its type if the message is empty."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the progress of a training run atomically: only tensors, numbers, text, lists and dicts.

    Raises:
        NotFiniteError: a tensor has infinite or NaN values; an existing file is kept.
        ScasegError: the file cannot be written, as on a full disk; an existing file is kept.
    """
    _refuse_not_finite(path, state)
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
        ScasegError: the file is damaged, or a tensor has infinite or NaN values.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises many types in torch
        raise ScasegError(f"{path} is damaged or truncated: {first_line(error)}", _FROM_SCRATCH) from error
    if not isinstance(state, dict) or not isinstance(state.get("key"), str) or state["key"] != key:
        return None
    if (name := not_finite(state)) is not None:
        raise ScasegError(f"{path} has infinite or NaN values in {name}", _FROM_SCRATCH)
    return state


@contextlib.contextmanager
def resuming(path: Path) -> Iterator[None]:
    """Around the lines that take a training's progress from the content of ``path``, which `load_state` read.

    Raises:
        ScasegError: the content does not fit the training.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ScasegError(f"{path} does not hold the progress of this training ({reason})", _FROM_SCRATCH) from error
