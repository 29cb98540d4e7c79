"""Compare deformable attention with mmcv's plain form, which scaseg used before, and with compiled operators.

    python benchmarks/deformable_attention.py --device cuda --size published

The pixel decoder calls it once per layer. The benchmark runs forward and backward, as a training step does. A compiled
operator is timed where it is installed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from measuring import Goal, Outcome, in_turns, machine_of, prepare, run_benchmark, seconds_of
from torch import Tensor

from scaseg_cli.base import mmcv_ops
from scaseg_cli.base.attention_operators import function_for, operator_for
from scaseg_cli.base.deformable_attention import ByLevel, BySparseMatrix, compiled_attention

mmcv_ops.install()

from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction  # noqa: E402

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


def before(values: Tensor, sizes: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention with all samples of all levels at once, as in mmcv's form without an operator."""
    batch, _, heads, width = values.shape
    levels, points = places.shape[3:5]
    samples, start = [], 0
    for level, (rows, columns) in enumerate(sizes.tolist()):
        maps = values[:, start : start + rows * columns].flatten(2).transpose(1, 2)
        start += rows * columns
        grid = (2 * places[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        samples.append(F.grid_sample(maps.reshape(batch * heads, width, rows, columns), grid, align_corners=False))
    weight = weights.transpose(1, 2).reshape(batch * heads, 1, -1, levels * points)
    found = (torch.stack(samples, dim=-2).flatten(-2) * weight).sum(-1)
    return found.view(batch, heads * width, -1).transpose(1, 2).contiguous()


def plain(values: Tensor, sizes: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention in plain PyTorch, as scaseg computes it."""
    form = BySparseMatrix if values.device.type == "cpu" else ByLevel
    levels = [(rows, columns) for rows, columns in sizes.tolist()]
    found: Tensor = form.apply(values, places, weights, levels)  # type: ignore[no-untyped-call]
    return found


def by_level(values: Tensor, sizes: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention in plain PyTorch, in the form for GPUs on any device."""
    levels = [(rows, columns) for rows, columns in sizes.tolist()]
    found: Tensor = ByLevel.apply(values, places, weights, levels)  # type: ignore[no-untyped-call]
    return found


def compiled(values: Tensor, sizes: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Deformable attention by mmcv's compiled operator."""
    starts = torch.cat([sizes.new_zeros(1), sizes.prod(1).cumsum(0)[:-1]])
    return MultiScaleDeformableAttnFunction.apply(values, sizes, starts, places, weights, 64)


def kept_bytes(form: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> int:
    """Bytes of memory that one forward pass keeps for the backward pass."""
    pieces = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        pieces[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = form(*inputs)
    assert found.requires_grad
    return sum(pieces.values())


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
    forms: dict[str, Callable[..., Tensor]] = {"before": before, "plain PyTorch": plain}
    operator, function = operator_for(options.device), function_for(options.device)
    if operator is not None and function is not None:
        forms[operator.package] = function
    if options.device == "cuda" and mmcv_ops.compiled():
        forms["compiled operator"] = compiled
    if options.device == "cuda" or options.rehearse:
        forms["plain PyTorch, compiled"] = lambda values, sizes, places, weights: compiled_attention()(
            values, [(rows, columns) for rows, columns in sizes.tolist()], places, weights
        )
        forms["level by level"] = by_level
    ways = {name: forward_and_backward(form, inputs) for name, form in forms.items()}
    timings = in_turns(ways, options.rounds or (50 if options.device == "cuda" else 5), options.device)
    figures = {f"{name}, {seconds_of(options.device)}": timings.median(name) for name in forms}
    figures |= {
        f"{name} / before": timings.ratio(name, "before") for name in forms if name not in ("before", "plain PyTorch")
    }
    figures |= {f"{name}, GB kept for backward": kept_bytes(form, inputs) / 1e9 for name, form in forms.items()}
    return Outcome(
        benchmark="deformable_attention",
        device=options.device,
        size=options.size,
        ratio_of="plain PyTorch / before",
        ratio=timings.ratio("plain PyTorch", "before"),
        goal=Goal("at most", 0.65) if (options.device, options.size) == ("cpu", "published") else None,
        figures=figures,
        notes=(
            f"One layer of the pixel decoder, forward and backward: {BATCH} images of {CROP[options.size]} pixels. "
            "Before: mmcv's form in plain PyTorch. What is kept includes the layer's own inputs.",
        ),
        machine=machine_of(options.device),
    )


if __name__ == "__main__":
    sys.exit(run_benchmark("Deformable attention against mmcv's plain form", ("cpu", "cuda"), measure))
