"""The frozen segmentor of stage 1, which every later stage and the evaluation run.

Shapes: B images, Q queries, D visual width, h w pixels of the mask features, H W of the image.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg_cli.base.aligned_network import AlignedNetwork, normalised
from scaseg_cli.base.classifier import BASE_KIND, BASE_REMEDY
from scaseg_cli.base.device import choose_device
from scaseg_cli.base.network import build_network
from scaseg_cli.checkpoints import load_module, load_tensors, save_tensors
from scaseg_cli.embeddings.store import load_embeddings
from scaseg_cli.errors import ScasegError
from scaseg_cli.split.classes import read_classes
from scaseg_cli.stages import require
from scaseg_cli.tasks import task_of

if TYPE_CHECKING:
    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def save_base(run: RunDir, network: AlignedNetwork, recipe: Recipe) -> None:
    """Write the trained network atomically, without the alignment's token bank."""
    tensors = {name: t for name, t in network.state_dict().items() if not name.startswith("v2c.")}
    save_tensors(run.base_file, BASE_KIND, tensors, {"iterations": recipe.base.iterations, "seed": recipe.seed})


class Encoded(NamedTuple):
    """An image's visual embeddings v [Q, D], on the CPU, and mask logits at the network's input size."""

    visual_QD: Tensor
    logits_Qhw: Tensor


@dataclass(frozen=True)
class Segmentor:
    """The frozen network on its device. Several threads may use it; one runs the network at a time.

    Attributes:
        network: the network in evaluation mode.
        device: the device of the network.
        eval_size, eval_max_size: of the recipe's base section, in pixels.
        lock: held while the network runs, because its head stores the results of the last pass.
    """

    network: AlignedNetwork
    device: torch.device
    eval_size: int
    eval_max_size: int
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @torch.no_grad()
    def segment(self, images: list[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
        """Encode images of any size.

        Args:
            images: uint8 RGB [H, W, 3].

        Returns:
            Per image: v [Q, D], and mask probabilities [Q, H, W] at the original image size, on the CPU.
        """
        pairs = zip(self.encode(images), images, strict=True)
        return [(e.visual_QD, enlarged(e.logits_Qhw, image.shape[:2]).sigmoid().cpu()) for e, image in pairs]

    @torch.no_grad()
    def encode(self, images: list[np.ndarray]) -> list[Encoded]:
        """Encode without resizing masks to the original image size, which may need too much memory."""
        resized = [self._resized(image) for image in images]
        batch = _padded(resized)
        with self.lock:
            visual, masks = self.network.encode(normalised(self.network, batch))
        if not bool(visual.isfinite().all()):
            raise _not_finite()
        masks = F.interpolate(masks, batch.shape[-2:], mode="bilinear", align_corners=False)
        return [
            Encoded(visual[i].cpu(), masks[i, :, : image.shape[0], : image.shape[1]]) for i, image in enumerate(resized)
        ]

    def _resized(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        factor = min(self.eval_size / min(height, width), self.eval_max_size / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return image if size == (width, height) else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)

    @torch.no_grad()
    def match(self, batch: dict[str, list[Any]]) -> tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
        """Compute visual embeddings v [B, Q, D] of training views, and match queries to segments.

        Args:
            batch: training views from `collate`.

        Returns:
            v, and per image the indices of matched queries and the class ids of their segments, both [G], and the
            indices of unmatched queries.
        """
        inputs = normalised(self.network, torch.stack(batch["inputs"]))
        samples = [sample.to(self.device) for sample in batch["data_samples"]]
        head = self.network.head
        with self.lock:
            try:
                matches = head.match(self.network.extract_feat(inputs), samples)
            except FloatingPointError as error:
                raise _not_finite() from error
            nulls, visual = head.last_null(len(samples)), head.last_visual()
        found = zip(matches, nulls, samples, strict=True)
        return visual, [
            (query, head.segments(sample).labels[segment], null) for (query, segment), null, sample in found
        ]


def _not_finite() -> ScasegError:
    return ScasegError(
        "the base model's outputs for an image are infinite or NaN, although its weights are finite",
        "Train it again with a lower base.learning_rate: `scaseg train-base`.",
    )


def enlarged(logits_Qhw: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize mask logits to the original image size, [Q, H, W]."""
    if logits_Qhw.shape[1:] == size:
        return logits_Qhw
    return F.interpolate(logits_Qhw[None], size, mode="bilinear", align_corners=False)[0]


def _padded(images: list[np.ndarray], divisor: int = 32) -> Tensor:
    """Stack images to a uint8 batch [B, 3, H, W], padded right and bottom to a multiple of ``divisor``."""
    height = -(-max(image.shape[0] for image in images) // divisor) * divisor
    width = -(-max(image.shape[1] for image in images) // divisor) * divisor
    batch = np.zeros((len(images), height, width, 3), np.uint8)
    for i, image in enumerate(images):
        batch[i, : image.shape[0], : image.shape[1]] = image
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def load_segmentor(recipe: Recipe, run: RunDir, named: str | torch.device | None = None) -> Segmentor:
    """Load the frozen base model of this recipe.

    Args:
        recipe: the recipe of the run.
        run: the run folder, with a finished base stage.
        named: the device, as in `choose_device`.

    Raises:
        ScasegError: it is missing, damaged, from another recipe or stage, or its keys do not match.
    """
    require(recipe, run, "base")
    device = choose_device(recipe, named)
    tensors, _ = load_tensors(run.base_file, BASE_KIND, BASE_REMEDY)
    seen_SC, synonyms = load_embeddings(recipe, run).first(read_classes(run).num_seen)
    network = build_network(recipe.base, seen_SC, None, task_of(recipe), synonyms)
    load_module(network, tensors, run.base_file, BASE_REMEDY)
    network.requires_grad_(False).eval().to(device)
    return Segmentor(network, device, recipe.base.eval_size, recipe.base.eval_max_size)
