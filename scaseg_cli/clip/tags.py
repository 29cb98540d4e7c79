"""Published weights by open_clip's tag: from the caches where they are, else fetched, and never a long wait."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from scaseg_cli.clip.weights import Weights, read_weights
from scaseg_cli.errors import ScasegError
from scaseg_cli.results.console import say

_TIMEOUT = 5.0  # seconds; the hub's own client retries for 46 s before it says that there is no network


def read_tag(model: str, tag: str) -> Weights:
    """The weights that open_clip knows as ``tag`` of ``model``, with the activation they were trained with.

    open_clip itself would load OpenAI's weights into a model with another activation and only warn.

    Raises:
        ScasegError: no such tag, or the weights are not here and cannot be fetched.
    """
    import open_clip

    config = open_clip.get_pretrained_cfg(model, tag)
    if not config:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise ScasegError(
            f"clip.checkpoint {tag!r} is neither a file nor a tag of {model}",
            f"Tags of {model}: {tags}. For random weights: --set clip.checkpoint=null",
        )
    weights = read_weights(_cached(config) or _fetched(config, model, tag))
    preprocess = {key: config[key] for key in ("mean", "std") if config.get(key)}
    return replace(weights, quick_gelu=bool(config.get("quick_gelu")), preprocess=preprocess)


def _cached(config: dict[str, Any]) -> Path | None:
    """The weight file of a tag where an earlier run, or OpenAI's own package, has left it."""
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, _, name = config.get("hf_hub", "").rpartition("/")
    for candidate in (name,) if name else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME):
        found = try_to_load_from_cache(repository, candidate) if repository else None
        if isinstance(found, str):
            return Path(found)
    old = Path.home() / ".cache" / "clip" / config.get("url", "").rpartition("/")[2]
    return old if old.is_file() else None


def _fetched(config: dict[str, Any], model: str, tag: str) -> Path:
    from huggingface_hub import constants
    from open_clip import download_pretrained

    hint = (
        "Fetch them on a machine with a network (any command that loads this CLIP keeps them in its cache), "
        "or give a file: --set clip.checkpoint=PATH"
    )
    problem = f"the weights {tag!r} of {model} are not on this machine, and"
    if (reason := _unreachable(constants.ENDPOINT)) is not None:
        raise ScasegError(f"{problem} {constants.ENDPOINT} cannot be reached: {reason}", hint)
    say(f"fetching the weights {tag!r} of {model}")
    try:
        return Path(download_pretrained(config))
    except Exception as error:  # the hub's client raises kinds of its own, which differ between its versions
        raise ScasegError(f"{problem} fetching them failed: {error}", hint) from error


def _unreachable(address: str) -> str | None:
    """Why ``address`` does not answer, or None where anything at all answers there."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_TIMEOUT).close()
    except urllib.error.HTTPError:
        return None
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except OSError as error:
        return str(error)
    return None
