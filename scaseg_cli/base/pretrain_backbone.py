"""Pre-trains the embedded world's backbone to classify seen classes, like an ImageNet classifier.

The backbone is that of the segmentor (`build_backbone` with the sizes of recipes/shapes-zps.yaml). No picture contains
an unseen class, not even in the background, so that training from these weights is still zero-shot.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scaseg_cli.base.backbone_weights import SHIPPED_BACKBONE
from scaseg_cli.base.backbones import IMAGENET_MEAN, IMAGENET_STD, build_backbone
from scaseg_cli.files import hash_value
from scaseg_cli.recipe.base_section import Backbone
from scaseg_cli.shapes.crops import Picture, stream, stuff_patch, thing_crop
from scaseg_cli.shapes.fitting import fit, save_half, seeded_module
from scaseg_cli.shapes.scenes import draw_scene
from scaseg_cli.shapes.world import SEEN_STUFF, SEEN_THINGS, ShapeClass

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEN = (*SEEN_THINGS, *SEEN_STUFF)
CROP = 32  # pixels; a thing of a 64-pixel scene fills it
SCENE = 64
BATCH = 128
DESTINATION = Path(__file__).parents[1] / "shapes" / "backbone.safetensors"
_LEARNING_RATE = 2e-3
_LEAST_AREA = 0.04  # fraction of a crop that a class must cover to be a target


def shapes_backbone_config(frozen: bool = False) -> Backbone:
    """The backbone of recipes/shapes-zps.yaml, with random weights."""
    return Backbone(depth=18, width=24, max_pool=False, frozen_norm=frozen, checkpoint=None)


def single_crop(rng: np.random.Generator, cls: ShapeClass) -> Picture:
    """Draw one thing or some stuff, at the same size in pixels as in a scene."""
    enlarged = SCENE / CROP
    if cls.isthing:
        return thing_crop(rng, cls, CROP, (0.14 * enlarged, 0.24 * enlarged), SEEN_STUFF, enlarged)
    return stuff_patch(rng, cls, CROP, (enlarged, enlarged))


def scene_crop(rng: np.random.Generator) -> Picture:
    """Crop a scene without unseen classes; its targets are the classes that cover enough of the crop."""
    scene = draw_scene(rng, SCENE, (2, 5), SEEN_THINGS, SEEN_STUFF)
    top, left = (int(edge) for edge in rng.integers(0, SCENE - CROP + 1, 2))
    window = (slice(top, top + CROP), slice(left, left + CROP))
    areas = np.bincount(scene.index[window].ravel(), minlength=len(scene.classes)) / CROP**2
    named = {cls.category_id: cls for cls, area in zip(scene.classes, areas, strict=True) if area >= _LEAST_AREA}
    return Picture(scene.image[window], tuple(named.values()))


def training_crops(seed: int, step: int) -> list[Picture]:
    """Draw the crops of one step: half of single classes, half of scenes."""
    order = stream("backbone-order", seed, step).permutation(np.arange(BATCH // 2) % len(SEEN))
    streams = [stream("backbone-train", seed, step, place) for place in range(BATCH)]
    singles = [single_crop(rng, SEEN[number]) for rng, number in zip(streams[: len(order)], order, strict=True)]
    return singles + [scene_crop(rng) for rng in streams[len(order) :]]


class CropNamer(nn.Module):
    """The backbone with a linear classifier on its mean last features; the classifier is discarded after training."""

    def __init__(self, config: Backbone) -> None:
        super().__init__()
        self.backbone = build_backbone(config)
        self.classifier = nn.Linear(config.width * 8, len(SEEN))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits [B, seen classes] of images [B, 3, H, W]."""
        return self.classifier(self.backbone(images)[-1].mean((2, 3)))


def _stacked(pictures: Sequence[Picture]) -> Tensor:
    images = torch.from_numpy(np.stack([picture.image for picture in pictures])).float()
    return ((images - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)).permute(0, 3, 1, 2).contiguous()


def _class_targets(pictures: Sequence[Picture]) -> Tensor:
    """Target probabilities [B, seen classes], equal for the classes of each picture."""
    named = torch.tensor([[float(cls in picture.classes) for cls in SEEN] for picture in pictures])
    return named / named.sum(1, keepdim=True)


def _loss(namer: CropNamer, seed: int, step: int) -> Tensor:
    pictures = training_crops(seed, step)
    return F.cross_entropy(namer(_stacked(pictures)), _class_targets(pictures))


@torch.no_grad()
def _accuracy(namer: CropNamer, seed: int, per_class: int = 16) -> float:
    """Accuracy on new single-class crops, a fraction."""
    right = 0
    for number, cls in enumerate(SEEN):
        pictures = [single_crop(stream("backbone-test", seed, number, i), cls) for i in range(per_class)]
        right += int((namer(_stacked(pictures)).argmax(1) == number).sum())
    return right / (per_class * len(SEEN))


def train_shapes_backbone(path: Path = DESTINATION, seed: int = 0, iterations: int = 800) -> float:
    """Train the backbone and write it to ``path`` (float16 safetensors); about three minutes on one thread.

    An interrupted training run resumes from the progress file next to ``path``.

    Returns:
        The accuracy on new crops of seen classes, a fraction.

    Raises:
        ScasegError: ``path`` cannot be written, or the progress file next to it is damaged.
    """
    namer = seeded_module(lambda: CropNamer(shapes_backbone_config()), seed)
    assert isinstance(namer, CropNamer)
    progress = path.with_name(f"{path.name}.progress")
    meta: dict[str, object] = {
        "seed": seed,
        "iterations": iterations,
        "batch": BATCH,
        "learning_rate": _LEARNING_RATE,
    }
    fit(
        namer,
        partial(_loss, namer, seed),
        iterations=iterations,
        learning_rate=_LEARNING_RATE,
        progress=progress,
        key=hash_value({"kind": SHIPPED_BACKBONE, **meta}),
        description="Training the small backbone",
    )
    accuracy = _accuracy(namer, seed)
    save_half(path, SHIPPED_BACKBONE, namer.backbone, {**meta, "accuracy": round(accuracy, 4)})
    progress.unlink(missing_ok=True)
    return accuracy
