"""Compare deformable attention in plain PyTorch with mmcv's compiled operator, where that is installed.

    python benchmarks/deformable_attention.py --device cuda --size published

The pixel decoder calls it once per layer. The benchmark runs forward and backward, as a training step does. Only a full
mmcv with CUDA has the operator; without it, the benchmark times the plain form alone.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from measuring import Outcome, in_turns, machine_of, prepare, run_benchmark, seconds_of
from torch import Tensor

from scaseg_cli.base import mmcv_ops

mmcv_ops.install()

from mmcv.ops.multi_scale_deform_attn import (  # noqa: E402
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

CROP = {"small": 256, "published": 1024}
BATCH = 2
STRIDES, HEADS, WIDTH, POINTS = (8, 16, 32), 8, 256, 4  # Mask2Former's


def make_inputs(crop: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make values, level sizes, sampling locations and attention weights for one layer of the pixel decoder."""
    random = torch.Generator().manual_seed(0)
    sides = [crop // stride for stride in STRIDES]
    num_keys, levels = sum(side**2 for side in sides), len(sides)
    values = torch.randn(BATCH, num_keys, HEADS, WIDTH // HEADS, generator=random)
    places = torch.rand(BATCH, num_keys, HEADS, levels, POINTS, 2, generator=random)
    weights = torch.rand(BATCH, num_keys, HEADS, levels, POINTS, generator=random)
    tensors = [tensor.to(device).requires_grad_() for tensor in (values, places, weights)]
    return tensors[0], torch.tensor([(side, side) for side in sides], device=device), tensors[1], tensors[2]


def plain(values: Tensor, sizes: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention in plain PyTorch, without a compiled operator."""
    return multi_scale_deformable_attn_pytorch(values, sizes, places, weights)


def compiled(values: Tensor, sizes: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention by mmcv's compiled operator."""
    starts = torch.cat([sizes.new_zeros(1), sizes.prod(1).cumsum(0)[:-1]])
    return MultiScaleDeformableAttnFunction.apply(values, sizes, starts, places, weights, 64)


def forward_and_backward(form: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    """Return a function that runs ``form`` forward and backward once."""

    def run() -> None:
        torch.autograd.backward(form(*inputs).sum())
        for tensor in inputs:
            tensor.grad = None

    return run


def measure(options: argparse.Namespace) -> Outcome:
    """Time the available forms in turns."""
    prepare(options.device)
    inputs = make_inputs(CROP[options.size], options.device)
    forms = {"plain PyTorch": plain}
    if options.device == "cuda" and mmcv_ops.compiled():
        forms["compiled operator"] = compiled
    ways = {name: forward_and_backward(form, inputs) for name, form in forms.items()}
    timings = in_turns(ways, options.rounds or (50 if options.device == "cuda" else 5), options.device)
    both = len(forms) > 1
    notes = [f"One layer of the pixel decoder, forward and backward: {BATCH} images of {CROP[options.size]} pixels."]
    if not both:
        notes.append("The compiled operator needs CUDA and a full mmcv. It is missing, so there is nothing to compare.")
    return Outcome(
        benchmark="deformable_attention",
        device=options.device,
        size=options.size,
        ratio_of="plain PyTorch / compiled operator",
        ratio=timings.ratio("plain PyTorch", "compiled operator") if both else None,
        goal=None,
        figures={f"{name}, {seconds_of(options.device)}": timings.median(name) for name in forms},
        notes=tuple(notes),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Deformable attention with and without mmcv's operator", ("cpu", "cuda"), measure))
