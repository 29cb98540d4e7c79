"""CLIPs that bring their configuration: a folder as open_clip writes it, or a repository of the hub with such files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from scaseg_cli.errors import DOCTOR, ScasegError
from scaseg_cli.files import read_json
from scaseg_cli.hub import cached, downloading, fetched

HUB, LOCAL = "hf-hub:", "local-dir:"  # as in open_clip
OWN = "own"  # the checkpoint that means the weights beside the configuration
CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
_TOKENIZER = ("*.json", "*.model", "*.txt")
EXTRA = "pip install 'scaseg[siglip]'"


def brings_configuration(model: str) -> bool:
    """Whether a recipe's ``clip.model`` is a folder or a repository."""
    return model.startswith((HUB, LOCAL))


def cached_folder(model: str) -> Path | None:
    """The folder of such a model on this machine, with its configuration; does not use the network.

    Raises:
        ScasegError: a local folder does not exist, or lacks the configuration.
    """
    if model.startswith(LOCAL):
        folder = Path(model.removeprefix(LOCAL)).expanduser()
        if not (folder / CONFIG).is_file():
            lacks = f"has no {CONFIG}" if folder.is_dir() else "does not exist"
            raise ScasegError(f"the folder {folder} of clip.model {lacks}", f"--set clip.model={LOCAL}FOLDER")
        return folder
    found = cached(model.removeprefix(HUB), [CONFIG])
    return found.parent if found is not None else None


def folder_of(model: str) -> Path:
    """The folder of such a model; configuration and tokenizer of a repository are downloaded if necessary.

    Raises:
        ScasegError: they are not there, and cannot be downloaded.
    """
    found = cached_folder(model)
    if found is not None:
        return found
    from huggingface_hub import constants, snapshot_download

    repository = model.removeprefix(HUB)
    with downloading(constants.ENDPOINT, f"configuration and tokenizer of {model}", _hint(model)):
        folder = Path(snapshot_download(repository, allow_patterns=[*_TOKENIZER]))
    if not (folder / CONFIG).is_file():
        raise ScasegError(f"the repository {repository} has no {CONFIG}", "Name a repository in open_clip's form.")
    return folder


def own_weights(model: str) -> Path | None:
    """The weights beside a model's configuration on this machine, or None; does not use the network.

    Raises:
        ScasegError: a local folder does not exist, or lacks the configuration or weights.
    """
    if model.startswith(HUB):
        return cached(model.removeprefix(HUB), _WEIGHTS)
    folder = cached_folder(model)
    assert folder is not None, "a local folder is there, or an error"
    found = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise ScasegError(f"the folder {folder} has no weights ({', '.join(_WEIGHTS)})", "--set clip.checkpoint=FILE")
    return found


def weights_of(model: str) -> Path:
    """The weights beside a model's configuration; those of a repository are downloaded if necessary.

    Raises:
        ScasegError: they are not there, and cannot be downloaded.
    """
    found = own_weights(model)
    return found or fetched(model.removeprefix(HUB), _WEIGHTS, f"the weights of {model}", _hint(model))


def fetch_command(model: str) -> str:
    """The shell command that downloads a repository to where it is looked for."""
    return f"hf download {model.removeprefix(HUB)}"


def _hint(model: str) -> str:
    return f"With a network: {fetch_command(model)}\nOr name a copy: --set clip.model={LOCAL}FOLDER\n{DOCTOR}"


def model_config(folder: Path) -> dict[str, Any]:
    """The section ``model_cfg`` of a folder's configuration.

    Raises:
        ScasegError: it has none.
    """
    content = read_json(folder / CONFIG, "the model's configuration", "Download it again.")
    config = content.get("model_cfg") if isinstance(content, dict) else None
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in ("text_cfg", "vision_cfg")):
        raise ScasegError(f"{folder / CONFIG} is not a configuration of open_clip", "Download it again.")
    return config


def check_packages(name: str, config: dict[str, Any], folder: Path | None = None) -> None:
    """Check that the packages that a model's text tower or tokenizer needs are installed.

    Args:
        name: the model, in messages.
        config: open_clip's configuration of it.
        folder: where its tokenizer is, if it is on this machine.

    Raises:
        ScasegError: one is not.
    """
    text = config.get("text_cfg", {})
    if "hf_tokenizer_name" not in text and "hf_model_name" not in text:
        return
    needed = ["transformers"]
    if folder is not None and any(folder.glob("*.model")) and not (folder / "tokenizer.json").is_file():
        needed.append("sentencepiece")
    lacking = [package for package in needed if importlib.util.find_spec(package) is None]
    if lacking:
        raise ScasegError(f"the tokenizer of {name} needs {' and '.join(lacking)}, which is not installed", EXTRA)
