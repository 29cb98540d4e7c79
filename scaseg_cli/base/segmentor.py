"""The frozen segmentor of stage 1, which every later stage and the evaluation run.

Shapes: B images, Q queries, D visual width, h w pixels of the mask features, H W of the image.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
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
    from pathlib import Path

    from scaseg_cli.recipe.schema import Recipe
    from scaseg_cli.run_dir import RunDir


def save_base(run: RunDir, network: AlignedNetwork, recipe: Recipe) -> None:
    """Write the trained network atomically, without the alignment's token bank."""
    save_network(run.base_file, network, {"iterations": recipe.base.iterations, "seed": recipe.seed})


def save_network(path: Path, network: AlignedNetwork, meta: dict[str, Any]) -> None:
    """Write a network in its training atomically, without the alignment's token bank, with ``meta`` in the header."""
    tensors = {name: t for name, t in network.state_dict().items() if not name.startswith("v2c.")}
    save_tensors(path, BASE_KIND, tensors, meta)


# Makes the mask probabilities (after the sigmoid) of some queries, or with None of all, on the CPU: [K, H, W].
MasksOf = Callable[[Tensor | None], Tensor]


@dataclass(frozen=True)
class Encoded:
    """One image after the network. Its masks are enlarged when they are needed, and only those that are.

    Attributes:
        visual_QD: visual embeddings v, on the CPU.
        small_Qhw: mask logits of the padded image, at the resolution of the network's mask features.
        padded, inside: size of the network's input, and of the part of it that is the image.
    """

    visual_QD: Tensor
    small_Qhw: Tensor
    padded: tuple[int, int]
    inside: tuple[int, int]

    def logits(self, queries: Tensor | None = None) -> Tensor:
        """Return mask logits at the network's input size [K, h, w], of the given queries or of all."""
        small_Khw = self.small_Qhw if queries is None else self.small_Qhw[queries.to(self.small_Qhw.device)]
        return enlarged(small_Khw, self.padded)[:, : self.inside[0], : self.inside[1]]

    def masks(self, size: tuple[int, int], queries: Tensor | None = None) -> Tensor:
        """Return mask probabilities at the original image size [K, H, W], of the given queries or of all, on the CPU.

        A query's mask does not depend on the queries that it is made with.
        """
        small_Khw = self.small_Qhw if queries is None else self.small_Qhw[queries.to(self.small_Qhw.device)]
        inside, width = self.inside, self.inside[1]
        to_input = Resizer(small_Khw, self.padded, range(inside[0]))
        logits_Phw = small_Khw.new_empty(to_input.planes, inside[0], self.padded[1])
        to_image = None if inside == size else Resizer(logits_Phw[:, :, :width], size)
        found_KHW = small_Khw.new_empty(len(small_Khw), *size)
        for start in range(0, len(found_KHW), to_input.planes):
            mask_PHW = found_KHW[start : start + to_input.planes]
            to_input.resize(small_Khw[start : start + to_input.planes], logits_Phw)
            if to_image is None:
                mask_PHW.copy_(logits_Phw[:, :, :width])
            else:
                to_image.resize(logits_Phw[:, :, :width], mask_PHW)
            mask_PHW.sigmoid_()
        return found_KHW.cpu()


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
    def encode(self, images: list[np.ndarray]) -> list[Encoded]:
        """Encode images, uint8 RGB [H, W, 3], of any size; masks are left at the network's own resolution."""
        resized = [self._resized(image) for image in images]
        batch = _padded(resized)
        with self.lock:
            visual, masks = self.network.encode(
                normalised(self.network, batch), [(image.shape[0], image.shape[1]) for image in resized]
            )
        if not bool(visual.isfinite().all()):
            raise _not_finite()
        padded = batch.shape[-2], batch.shape[-1]
        return [
            Encoded(visual[i].cpu(), masks[i], padded, (image.shape[0], image.shape[1]))
            for i, image in enumerate(resized)
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
            v on the device; and per image, on the CPU, the indices of matched queries and the class ids of their
            segments, both [G], and the indices of unmatched queries.
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
        found = zip(matches, nulls, batch["data_samples"], strict=True)
        return visual, [(query, sample.labels[segment], null) for (query, segment), null, sample in found]


def _not_finite() -> ScasegError:
    return ScasegError(
        "the base model's outputs for an image are infinite or NaN, although its weights are finite",
        "Train it again with a lower base.learning_rate: `scaseg train-base`.",
    )


def enlarged(logits_Qhw: Tensor, size: tuple[int, int], rows: range | None = None) -> Tensor:
    """Resize mask logits bilinearly to ``size``, [Q, H, W], or to some rows of it, [Q, rows, W]; see `Resizer`."""
    if logits_Qhw.shape[1:] == size and rows is None:
        return logits_Qhw
    resizer = Resizer(logits_Qhw, size, rows)
    found = logits_Qhw.new_empty(len(logits_Qhw), *resizer.shape)
    for start in range(0, len(found), resizer.planes):
        planes = slice(start, start + resizer.planes)
        resizer.resize(logits_Qhw[planes], found[planes])
    return found


class Resizer:
    """Resizes mask logits bilinearly: `torch.nn.functional.interpolate` up to rounding.

    That function rounds differently with the number of masks and threads; here the values of a mask depend on nothing
    else. Memory is used again, which saves most of the time on a CPU.

    Args:
        logits_Qhw: what has the size and type of the logits to resize.
        size: H, W.
        rows: the rows to make; None means all H.

    Attributes:
        planes: how many masks are resized together: one on a CPU, so that it stays in the cache.
        shape: rows and columns of the result.
    """

    def __init__(self, logits_Qhw: Tensor, size: tuple[int, int], rows: range | None = None) -> None:
        rows = range(size[0]) if rows is None else rows
        num, height, width = logits_Qhw.shape
        self.planes = 1 if logits_Qhw.device.type == "cpu" else max(1, num)
        self.shape = len(rows), size[1]
        self._rows = _between(height, size[0], rows, logits_Qhw)
        self._columns = _between(width, size[1], range(size[1]), logits_Qhw)
        self._turned = logits_Qhw.new_empty(self.planes, width, height)
        self._wide, self._wide_too = (logits_Qhw.new_empty(self.planes, size[1], height) for _ in range(2))
        self._turned_back = logits_Qhw.new_empty(self.planes, height, size[1])
        self._large = logits_Qhw.new_empty(self.planes, *self.shape)

    def resize(self, logits_Phw: Tensor, out: Tensor) -> None:
        """Resize ``planes`` masks to ``out``."""
        _mix(self._turned.copy_(logits_Phw.transpose(1, 2)), *self._columns, self._wide, self._wide_too)
        _mix(self._turned_back.copy_(self._wide.transpose(1, 2)), *self._rows, out, self._large)


def _between(small: int, large: int, wanted: range, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two places that each wanted one lies between, and how near it is to the second, [wanted, 1]."""
    places = torch.arange(wanted.start, wanted.stop, device=like.device, dtype=torch.float32)
    places = ((places + 0.5) * (small / large) - 0.5).clamp(0, small - 1)
    first = places.long()
    return first, (first + 1).clamp(max=small - 1), (places - first).to(like.dtype)[:, None]


def _mix(values: Tensor, first: Tensor, second: Tensor, part: Tensor, out: Tensor, scratch: Tensor) -> None:
    """Write the values between ``first`` and ``second`` of the middle axis to ``out``."""
    torch.index_select(values, 1, first, out=out).mul_(1 - part)
    out.add_(torch.index_select(values, 1, second, out=scratch).mul_(part))


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
