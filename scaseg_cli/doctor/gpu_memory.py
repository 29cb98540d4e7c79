"""Estimates whether stage 1 fits the memory of a GPU, and what makes it fit.

The figures are computed (`benchmarks/training_memory.py`): Mask2Former with ResNet-50 and CLIP ViT-B/16, the deformable
attention in plain PyTorch, 11 segments in each image. They leave out what kernels and the allocator take, so a quarter
is added. MMDetection reports 13.9 GB with two images of 1024 pixels for its plain Mask2Former, whose norms each keep a
feature map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaseg_cli.recipe.schema import Recipe

_GB = 1e9
_FIXED = 1.31e9  # bytes of weights, gradients, AdamW's moments, and CLIP's weights
_PER_PIXEL = {"off": 3240, "bf16": 2350, "fp16": 2350}  # bytes of an image
_PER_POINT = {"off": 26_700, "bf16": 25_800, "fp16": 25_800}  # bytes of an image at each of base.num_points
MARGIN = 1.25


def gpu_memory(recipe: Recipe) -> float:
    """Estimate the bytes that stage 1 needs on each GPU."""
    base = recipe.base
    images = -(-base.batch_size // (_processes(recipe) * base.accumulate))
    of_image = base.crop**2 * _PER_PIXEL[base.amp] + base.num_points * _PER_POINT[base.amp]
    return MARGIN * (_FIXED + images * of_image)


def what_fits(recipe: Recipe, free: float) -> str:
    """What to change so that stage 1 fits into ``free`` bytes of each GPU; the weaker change comes first."""
    for changes in _changes(recipe):
        needed = gpu_memory(recipe.model_copy(update={"base": recipe.base.model_copy(update=changes)}))
        if needed <= free:
            words = " ".join(f"--set base.{key}={value}" for key, value in changes.items())
            other = ", with other results" if "crop" in changes else ""
            return f"{words} needs about {needed / _GB:.1f} GB{other}. More GPUs need less each."
    return "Use GPUs with more memory: not even base.accumulate, base.amp=bf16 and half of base.crop fit."


def _changes(recipe: Recipe) -> Iterator[dict[str, object]]:
    """Changes to the base section that need less and less memory."""
    base = recipe.base
    own = base.batch_size // _processes(recipe)
    parts = [number for number in range(base.accumulate, own + 1) if own and own % number == 0]
    halves: list[dict[str, object]] = [{}, {"amp": "bf16"}] if base.amp == "off" else [{}]
    crops: list[dict[str, object]] = [{}, {"crop": base.crop // 2}]
    for crop in crops:
        for number in parts or [base.accumulate]:
            part = {"accumulate": number} if number != base.accumulate else {}
            yield from ({**half, **part, **crop} for half in halves)


def _processes(recipe: Recipe) -> int:
    return max(1, recipe.gpus) * recipe.nodes
