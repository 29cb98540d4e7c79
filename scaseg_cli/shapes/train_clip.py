"""Trains the small CLIP on pictures and captions of the embedded world."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from scaseg_cli.files import hash_value
from scaseg_cli.shapes.captions import caption
from scaseg_cli.shapes.clip import (
    CHECKPOINT,
    CLIP,
    IMAGE_SIZE,
    KIND,
    MAX_SCALE,
    WordTokenizer,
    build_shapes_clip,
    load_shapes_clip,
    normalised,
)
from scaseg_cli.shapes.crops import Picture, scene_picture, single, stream
from scaseg_cli.shapes.fitting import fit, save_half, seeded_module
from scaseg_cli.shapes.world import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH = 128
_SINGLES = 96  # per batch; the rest are scenes. With more scenes, stuff is learned badly
_LEARNING_RATE = 2e-3


def training_pictures(seed: int, step: int) -> tuple[list[Picture], list[str]]:
    """Draw the pictures of one step and their captions."""
    order = stream("clip-order", seed, step).permutation(np.arange(_SINGLES) % len(CLASSES))
    pictures, captions = [], []
    for place in range(BATCH):
        rng = stream("clip-train", seed, step, place)
        picture = single(rng, CLASSES[order[place]], IMAGE_SIZE) if place < _SINGLES else scene_picture(rng, IMAGE_SIZE)
        pictures.append(picture)
        captions.append(caption(rng, picture.classes))
    return pictures, captions


def same_and_part(pictures: Sequence[Picture]) -> tuple[Tensor, Tensor]:
    """Mark the pairs with the same classes, and those where one picture has part of the other's; [B, B] each."""
    holds = torch.tensor([[float(cls in picture.classes) for cls in CLASSES] for picture in pictures])
    shared, count = holds @ holds.T, holds.sum(1)
    same = (shared == count[:, None]) & (shared == count)
    return same, (shared == torch.minimum(count[:, None], count)) & ~same


def contrastive_loss(logits: Tensor, same: Tensor, part: Tensor) -> Tensor:
    """Contrastive loss: the mean cross-entropy to all positives, averaged over rows and columns.

    Args:
        logits: [B, B], image by text.
        same: [B, B] positives.
        part: [B, B] ignored pairs, neither positive nor negative: a scene and the name of one thing in it.
    """
    logits = logits.masked_fill(part, float("-inf"))
    losses = []
    for way in (logits, logits.T):
        log_probs = F.log_softmax(way, dim=1).masked_fill(~same, 0.0)
        losses.append(-(log_probs.sum(1) / same.sum(1)).mean())
    return 0.5 * (losses[0] + losses[1])


def _stacked(pictures: Sequence[Picture]) -> Tensor:
    images = torch.from_numpy(np.stack([picture.image for picture in pictures]))
    return normalised(images).contiguous(memory_format=torch.channels_last)


def _loss(model: CLIP, tokenizer: WordTokenizer, seed: int, step: int) -> Tensor:
    pictures, captions = training_pictures(seed, step)
    image_BC = F.normalize(model.encode_image(_stacked(pictures)), dim=-1)
    text_BC = F.normalize(model.encode_text(tokenizer(captions)), dim=-1)
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(MAX_SCALE))
    return contrastive_loss(model.logit_scale.exp() * image_BC @ text_BC.T, *same_and_part(pictures))


def train_shapes_clip(path: Path = CHECKPOINT, seed: int = 0, iterations: int = 900) -> None:
    """Train the small CLIP and write it to ``path`` (float16 safetensors); about five minutes on one thread.

    An interrupted training run resumes from the progress file next to ``path``.

    Raises:
        ScasegError: ``path`` cannot be written, or the progress file next to it is damaged.
    """
    model = seeded_module(lambda: build_shapes_clip()[0], seed)
    assert isinstance(model, CLIP)
    model.visual.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    progress = path.with_name(f"{path.name}.progress")
    meta: dict[str, object] = {"seed": seed, "iterations": iterations, "batch": BATCH, "learning_rate": _LEARNING_RATE}
    fit(
        model,
        partial(_loss, model, WordTokenizer(), seed),
        iterations=iterations,
        learning_rate=_LEARNING_RATE,
        progress=progress,
        key=hash_value({"kind": KIND, **meta}),
        description="Training the small CLIP",
    )
    save_half(path, KIND, model, meta)
    progress.unlink(missing_ok=True)


@torch.no_grad()
def zero_shot_accuracy(
    path: Path = CHECKPOINT, template: str = "a photo of a {}.", per_class: int = 20, seed: int = 0
) -> dict[str, float]:
    """Accuracy of the CLIP at ``path`` on new single pictures, among all classes, as fractions.

    Returns:
        ``all``, ``seen``, ``unseen``, ``things`` and ``stuff``.
    """
    model, tokenizer = load_shapes_clip(path)
    text_NC = F.normalize(model.encode_text(tokenizer([template.format(cls.name) for cls in CLASSES])), dim=-1)
    right = np.zeros((len(CLASSES), per_class), bool)
    for number, cls in enumerate(CLASSES):
        pictures = [single(stream("clip-test", seed, number, i), cls, IMAGE_SIZE) for i in range(per_class)]
        right[number] = ((model.encode_image(_stacked(pictures)) @ text_NC.T).argmax(1) == number).numpy()
    unseen, isthing = (np.array([getattr(cls, name) for cls in CLASSES]) for name in ("unseen", "isthing"))
    groups = {"all": unseen | ~unseen, "seen": ~unseen, "unseen": unseen, "things": isthing, "stuff": ~isthing}
    return {name: float(right[members].mean()) for name, members in groups.items()}
