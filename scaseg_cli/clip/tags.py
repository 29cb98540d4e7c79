"""Finds published weights by their open_clip tag in the caches, or downloads them; fails fast without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from scaseg_cli.clip.weights import Weights, read_weights
from scaseg_cli.downloads import by_hand
from scaseg_cli.errors import DOCTOR, ScasegError
from scaseg_cli.hub import cached, downloading, fetched, hub_by_hand
from scaseg_cli.packages import prepare_open_clip


def read_tag(model: str, tag: str) -> Weights:
    """Read the weights that open_clip lists as ``tag`` of ``model``, with the activation of their training.

    open_clip itself loads OpenAI's weights into a model with another activation and only warns.

    Raises:
        ScasegError: there is no such tag, or the weights are missing and cannot be downloaded.
    """
    config = _config(model, tag)
    weights = read_weights(_cached(config) or _fetched(config, model, tag))
    preprocess = {key: config[key] for key in ("mean", "std") if config.get(key)}
    return replace(weights, quick_gelu=bool(config.get("quick_gelu")), preprocess=preprocess)


def cached_tag(model: str, tag: str) -> Path | None:
    """The weight file of ``tag`` on this machine, or None; does not use the network.

    Raises:
        ScasegError: there is no such tag.
    """
    return _cached(_config(model, tag))


def tag_by_hand(model: str, tag: str) -> str:
    """The shell command that downloads the weights of ``tag`` to where they are looked for.

    Raises:
        ScasegError: there is no such tag.
    """
    return _by_hand(_config(model, tag))


def _config(model: str, tag: str) -> dict[str, Any]:
    prepare_open_clip()
    import open_clip

    config = open_clip.get_pretrained_cfg(model, tag)
    if not config:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise ScasegError(
            f"clip.checkpoint {tag!r} is neither a file nor a tag of {model}",
            f"Tags of {model}: {tags}. For random weights: --set clip.checkpoint=null",
        )
    return dict(config)


def _hub_names(config: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The tag's repository on the hub, and the possible file names of its weights there."""
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, _, name = config.get("hf_hub", "").rpartition("/")
    return repository, (name,) if name else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)


def _old_cache(config: dict[str, Any]) -> Path:
    """The path at which OpenAI's package caches the file of the tag's URL."""
    return Path.home() / ".cache" / "clip" / str(config.get("url", "")).rpartition("/")[2]


def _cached(config: dict[str, Any]) -> Path | None:
    """The weight file of a tag in the cache of an earlier run or of OpenAI's package."""
    if (found := cached(*_hub_names(config))) is not None:
        return found
    old = _old_cache(config)
    return old if old.is_file() else None


def _by_hand(config: dict[str, Any]) -> str:
    if config.get("url"):
        return by_hand(config["url"], _old_cache(config))
    repository, names = _hub_names(config)
    fetch = hub_by_hand(repository, names[0], Path(names[0]))
    return f"{fetch}  then set the file: --set clip.checkpoint={names[0]}"


def _fetched(config: dict[str, Any], model: str, tag: str) -> Path:
    hint = f"With a network: {_by_hand(config)}\nOr set a file: --set clip.checkpoint=PATH\n{DOCTOR}"
    what = f"the weights {tag!r} of {model}"
    repository, names = _hub_names(config)
    if repository:
        return fetched(repository, names, what, hint)
    from open_clip import download_pretrained

    with downloading(str(config["url"]), what, hint):
        return Path(download_pretrained(config))
