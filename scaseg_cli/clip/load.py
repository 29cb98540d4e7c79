"""From the recipe's `clip` section to a frozen `ClipModel`."""

from __future__ import annotations

import difflib
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from scaseg_cli.clip.model import ClipModel, Tokenizer
from scaseg_cli.clip.tags import read_tag
from scaseg_cli.clip.weights import Weights, put_weights, read_weights
from scaseg_cli.errors import ScasegError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Clip

SHAPES_CLIP = "shapes-clip"


def load_clip(clip: Clip) -> ClipModel:
    """The CLIP that a recipe names, on the CPU.

    Args:
        clip: the model (an open_clip name, or shapes-clip) and its checkpoint (a file, else one of open_clip's tags,
            or shapes-clip's own; null: random weights, the same ones each time).

    Raises:
        ScasegError: no such model or tag; weights that are not here and cannot be fetched; a file that is damaged or
            belongs to another model.
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
    """The model as open_clip calls it, or shapes-clip.

    Raises:
        ScasegError: there is no such model; names the nearest.
    """
    if clip.model == SHAPES_CLIP:
        return SHAPES_CLIP
    import open_clip

    name = clip.model.replace("/", "-")  # OpenAI writes ViT-B/16
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(name, [*open_clip.list_models(), SHAPES_CLIP], n=3, cutoff=0.4)
        raise ScasegError(
            f"open_clip knows no model {clip.model!r}",
            f"Did you mean {' or '.join(near)}? --set clip.model=NAME" if near else "--set clip.model=ViT-B-16",
        )
    return name


def _find_weights(name: str, checkpoint: str | None) -> Weights | None:
    if checkpoint is None:
        return None
    path = Path(checkpoint)
    return read_weights(path) if path.is_file() else read_tag(name, checkpoint)


def _build(name: str, weights: Weights | None) -> tuple[nn.Module, Tokenizer]:
    """open_clip's model ``name`` and its tokenizer: random weights, the activation and image statistics of ``weights``.

    Raises:
        ScasegError: a part of it is in no package here.
    """
    import open_clip

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
    except Exception as error:  # parts from other libraries (timm, transformers) raise kinds of their own
        reason = str(error).strip() or type(error).__name__
        raise ScasegError(
            f"open_clip cannot build the model {name!r}: {reason.splitlines()[0]}",
            "Its text or image tower may need another package or the network; ViT-B-16 needs neither.",
        ) from error


def _load_shapes_clip(checkpoint: str | None) -> ClipModel:
    """The embedded world's CLIP, with the shipped weights, those of a file, or random ones."""
    import open_clip

    from scaseg_cli.shapes.clip import CHECKPOINT, build_shapes_clip, load_shapes_clip

    if checkpoint is not None and checkpoint != SHAPES_CLIP and not Path(checkpoint).is_file():
        raise ScasegError(
            f"clip.checkpoint {checkpoint!r} is not a file, and {SHAPES_CLIP} has no tag but its own",
            f"Its shipped weights: --set clip.checkpoint={SHAPES_CLIP}",
        )
    with _fixed_weights():
        if checkpoint is None:
            module, tokenizer = build_shapes_clip()
        else:
            module, tokenizer = load_shapes_clip(CHECKPOINT if checkpoint == SHAPES_CLIP else Path(checkpoint))
    return ClipModel(module, tokenizer, SHAPES_CLIP, open_clip.get_model_preprocess_cfg(module))


@contextmanager
def _fixed_weights() -> Iterator[None]:
    """Random initial weights that are the same in every process; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@contextmanager
def _silent_log() -> Iterator[None]:
    """open_clip logs through the root logger, which sets that up for everyone, and warns of random weights."""
    silent, before = logging.NullHandler(), logging.root.manager.disable
    logging.root.addHandler(silent)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        logging.root.removeHandler(silent)
