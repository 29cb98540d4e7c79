"""Builds a frozen `ClipModel` from the recipe's `clip` section."""

from __future__ import annotations

import difflib
import importlib
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scaseg_cli.clip.folders import (
    CONFIG,
    LOCAL,
    OWN,
    brings_configuration,
    check_packages,
    folder_of,
    model_config,
    weights_of,
)
from scaseg_cli.clip.model import ClipModel, Tokenizer
from scaseg_cli.clip.tags import read_tag
from scaseg_cli.clip.weights import Weights, put_weights, read_weights
from scaseg_cli.errors import ScasegError
from scaseg_cli.packages import prepare_open_clip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Clip

SHAPES_CLIP = "shapes-clip"


def load_clip(clip: Clip) -> ClipModel:
    """Load the CLIP that a recipe names, on the CPU.

    Args:
        clip: the model (an open_clip name, hf-hub:OWNER/NAME, local-dir:FOLDER, or shapes-clip) and its checkpoint
            (a file, an open_clip tag, ``own`` for the weights beside a configuration, or shapes-clip's own; null:
            random weights, the same ones each time).

    Raises:
        ScasegError: the model or tag does not exist, the weights are missing and cannot be downloaded, or the file is
            damaged or belongs to another model.
    """
    name = model_name(clip)
    if name == SHAPES_CLIP:
        return _load_shapes_clip(clip.checkpoint)
    import open_clip

    weights = _find_weights(name, clip.checkpoint)
    module, tokenizer = _build(name, weights)
    if weights is not None:
        put_weights(module, weights)
    return ClipModel(module, tokenizer, name, open_clip.get_model_preprocess_cfg(module))


def model_name(clip: Clip) -> str:
    """The model's name in open_clip, with hf-hub: or local-dir: if it has them, or shapes-clip.

    Raises:
        ScasegError: there is no such model; names similar ones.
    """
    if clip.model == SHAPES_CLIP or brings_configuration(clip.model):
        return clip.model
    prepare_open_clip()
    import open_clip

    name = clip.model.replace("/", "-")  # OpenAI writes ViT-B/16
    if name not in open_clip.list_models():
        if Path(clip.model, CONFIG).is_file():
            raise ScasegError(
                f"open_clip has no model {clip.model!r}, but it is a folder with a configuration",
                f"--set clip.model={LOCAL}{clip.model} --set clip.checkpoint={OWN}",
            )
        near = difflib.get_close_matches(name, [*open_clip.list_models(), SHAPES_CLIP], n=3, cutoff=0.4)
        raise ScasegError(
            f"open_clip has no model {clip.model!r}",
            f"Did you mean {' or '.join(near)}? --set clip.model=NAME" if near else "--set clip.model=ViT-B-16",
        )
    return name


def _find_weights(name: str, checkpoint: str | None) -> Weights | None:
    if checkpoint is None:
        return None
    path = Path(checkpoint)
    if path.is_file():
        return read_weights(path)
    if not brings_configuration(name):
        return read_tag(name, checkpoint)
    if checkpoint != OWN:
        raise not_own(name, checkpoint)
    return read_weights(weights_of(name))


def not_own(name: str, checkpoint: str) -> ScasegError:
    """The error for a tag of a model that brings its weights."""
    return ScasegError(
        f"clip.checkpoint {checkpoint!r} is no file, and {name} has no tags",
        f"For the weights that come with it: --set clip.checkpoint={OWN}",
    )


def _build(name: str, weights: Weights | None) -> tuple[nn.Module, Tokenizer]:
    """Build open_clip's model ``name`` with random weights and the settings in ``weights``, and its tokenizer.

    Raises:
        ScasegError: a part of the model needs a package that is not installed.
    """
    prepare_open_clip()
    import open_clip

    called = name
    if brings_configuration(name):
        folder = folder_of(name)
        config = model_config(folder)
        name = f"{LOCAL}{folder}"
    else:
        folder, config = None, open_clip.get_model_config(name) or {}
    check_packages(called, config, folder)
    _take_transformers(config)
    try:
        with _fixed_weights(), _silent_log():
            module = open_clip.create_model(
                name,
                load_weights=False,
                pretrained_text=False,
                force_quick_gelu=weights is not None and weights.quick_gelu,
                force_preprocess_cfg=weights.preprocess if weights is not None else None,
            )
            return module, open_clip.get_tokenizer(name)
    except Exception as error:  # other libraries (timm, transformers) raise their own types
        reason = str(error).strip() or type(error).__name__
        raise ScasegError(
            f"open_clip cannot build the model {called!r}: {reason.splitlines()[0]}",
            "Install the package that it needs or connect to the network, or use ViT-B-16, which needs neither.",
        ) from error


def _take_transformers(config: dict[str, Any]) -> None:
    """Let open_clip import transformers, if it is installed, for a model whose text tower is of that package."""
    import open_clip

    if "hf_model_name" in config.get("text_cfg", {}) and open_clip.hf_model.transformers is None:
        open_clip.model.HFTextEncoder = importlib.reload(open_clip.hf_model).HFTextEncoder


def _load_shapes_clip(checkpoint: str | None) -> ClipModel:
    """Load the embedded world's CLIP with the shipped weights, weights from a file, or random ones."""
    prepare_open_clip()
    import open_clip

    from scaseg_cli.shapes.clip import CHECKPOINT, build_shapes_clip, load_shapes_clip

    if checkpoint is not None and checkpoint != SHAPES_CLIP and not Path(checkpoint).is_file():
        raise ScasegError(
            f"clip.checkpoint {checkpoint!r} is not a file, and {SHAPES_CLIP} has only one tag, its own",
            f"For its shipped weights: --set clip.checkpoint={SHAPES_CLIP}",
        )
    with _fixed_weights():
        if checkpoint is None:
            module, tokenizer = build_shapes_clip()
        else:
            module, tokenizer = load_shapes_clip(CHECKPOINT if checkpoint == SHAPES_CLIP else Path(checkpoint))
    return ClipModel(module, tokenizer, SHAPES_CLIP, open_clip.get_model_preprocess_cfg(module))


@contextmanager
def _fixed_weights() -> Iterator[None]:
    """Fix the random initial weights across processes, and keep the caller's random state."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@contextmanager
def _silent_log() -> Iterator[None]:
    """Silence open_clip, which configures the root logger and warns about random weights."""
    silent, before = logging.NullHandler(), logging.root.manager.disable
    logging.root.addHandler(silent)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        logging.root.removeHandler(silent)
