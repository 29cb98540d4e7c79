"""Deformable attention: each query sums values at a few points of a few feature maps.

An operator that is installed computes it (`attention_operators`), or plain PyTorch. MMCV's own plain form samples
every level with `grid_sample` and stacks what it finds. Here nothing of the samples is kept: the backward pass computes
again what it needs from the inputs. On a CPU, the four pixels around each point are the entries of a sparse matrix, so
that sums of values are one pass over rows of memory.

Shapes: B images, S keys of all levels, Q queries, M heads, D width of a head, L levels, P points, and four corners.
"""

from __future__ import annotations

import warnings
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from scaseg_cli.base.attention_operators import function_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

with warnings.catch_warnings():  # the first sparse matrix says once that they are in beta
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)


Sizes = list[tuple[int, int]]


def deformable_attention(values_BSMD: Tensor, sizes_L2: Tensor | Sizes, places: Tensor, weights: Tensor) -> Tensor:
    """Sum the values at the places, weighted: [B, Q, M * D], float32 at least.

    Args:
        values_BSMD: values of all levels, one after the other.
        sizes_L2: height and width of each level; as a tensor on a GPU, the host waits to read it.
        places: x and y [B, Q, M, L, P, 2], 0..1 from the outer border to the outer border; values outside are 0.
        weights: [B, Q, M, L, P].
    """
    dtype = torch.promote_types(torch.promote_types(values_BSMD.dtype, places.dtype), torch.float32)
    inputs = values_BSMD.to(dtype), places.to(dtype), weights.to(dtype)
    operator = _operator(values_BSMD.device.type)
    if operator is not None:
        on_device = torch.as_tensor(sizes_L2, device=values_BSMD.device)
        return operator(inputs[0].contiguous(), on_device.long(), inputs[1].contiguous(), inputs[2].contiguous())
    listed = sizes_L2.tolist() if isinstance(sizes_L2, Tensor) else sizes_L2
    sizes = [(int(height), int(width)) for height, width in listed]
    form = BySparseMatrix if values_BSMD.device.type == "cpu" else ByLevel
    found: Tensor = form.apply(*inputs, sizes)  # type: ignore[no-untyped-call]
    return found


def plain_attention(values_BSMD: Tensor, sizes: Sizes, places: Tensor, weights: Tensor) -> Tensor:
    """Compute `deformable_attention` by operations that torch differentiates, and compiles, itself."""
    dtype = torch.promote_types(torch.promote_types(values_BSMD.dtype, places.dtype), torch.float32)
    batch, _, heads, width = values_BSMD.shape
    found = values_BSMD.new_zeros((batch * heads, width, places.shape[1]), dtype=dtype)
    for values, grid, weight, _, _ in _levels(values_BSMD.to(dtype), places.to(dtype), weights.to(dtype), sizes):
        found = found + (F.grid_sample(values, grid, align_corners=False) * weight).sum(-1)
    return found.view(batch, heads * width, -1).transpose(1, 2)


@cache
def compiled_attention() -> Callable[[Tensor, Sizes, Tensor, Tensor], Tensor]:
    """`plain_attention`, compiled for each shape that it meets (`base.compile`)."""
    return torch.compile(plain_attention, dynamic=False)


_operator = cache(function_for)  # of a type of device: what is installed does not change


class Corners(NamedTuple):
    """The four pixels around each point: upper left, upper right, lower left, lower right.

    Attributes:
        rows: the row of each corner in values [B * S * M, D], int32 [B, Q, M, 4, L, P].
        above, below, left, right: bilinear factors [B, Q, M, L, P], 0 outside the map.
        is_above, is_below, is_left, is_right: whether that row or column of pixels is inside the map, as 0 or 1.
    """

    rows: Tensor
    above: Tensor
    below: Tensor
    left: Tensor
    right: Tensor
    is_above: Tensor
    is_below: Tensor
    is_left: Tensor
    is_right: Tensor


def _corners(places: Tensor, sizes: list[tuple[int, int]], num_keys: int) -> Corners:
    batch, _, heads = places.shape[:3]

    def of_levels(values: Sequence[int], dtype: torch.dtype) -> Tensor:
        # One number a level, repeated over heads and points: torch is slow where short rows are broadcast.
        return torch.tensor(values, dtype=dtype)[:, None].expand(places.shape[2:5]).contiguous()

    first, inside = [], []  # of rows of pixels, then of columns
    for axis, of in ((1, 0), (0, 1)):
        size = of_levels([one[of] for one in sizes], places.dtype)
        place = (2 * places[..., axis]).sub_(1).add_(1).mul_(size).sub_(1).mul_(0.5)  # as grid_sample rounds it
        low, last = place.floor(), size - 1
        fraction = place.sub_(low)
        for pixel in (low, low + 1):
            bounded = pixel.clamp(min=0).minimum(last)
            first.append(bounded.int().clamp_(min=0))  # what is no number is some negative one
            inside.append(pixel.eq_(bounded))
        inside += [(1 - fraction).mul_(inside[-2]), fraction.mul_(inside[-1])]
    above, below, left, right = first
    is_above, is_below, above_f, below_f, is_left, is_right, left_f, right_f = inside
    line_step = of_levels([width * heads for _, width in sizes], torch.int32)
    level = of_levels([start * heads for start in _starts(sizes)[:-1]], torch.int32)
    head = torch.arange(heads, dtype=torch.int32)[:, None, None]
    image = torch.arange(0, batch * num_keys * heads, num_keys * heads, dtype=torch.int32)[:, None, None, None, None]
    start, steps = image + (level + head), (left.mul_(heads), right.mul_(heads))
    rows = torch.empty(*places.shape[:3], 4, *places.shape[3:5], dtype=torch.int32)
    for number, line in enumerate((above, below)):
        line.mul_(line_step).add_(start)
        for side, step in enumerate(steps):
            torch.add(line, step, out=rows[:, :, :, 2 * number + side])
    return Corners(rows, above_f, below_f, left_f, right_f, is_above, is_below, is_left, is_right)


def _starts(sizes: list[tuple[int, int]]) -> list[int]:
    """The first key of each level, and the number of keys."""
    return [0, *np.cumsum([height * width for height, width in sizes]).tolist()]


class BySparseMatrix(torch.autograd.Function):
    """The form for a CPU: a sparse matrix [B * Q * M, B * S * M] of bilinear factors x weights times the values."""

    @staticmethod
    def forward(ctx: Any, values_BSMD: Tensor, places: Tensor, weights: Tensor, sizes: list[tuple[int, int]]) -> Tensor:
        """Sum values; only the inputs are kept for the backward pass."""
        ctx.save_for_backward(values_BSMD, places, weights)
        ctx.sizes = sizes
        corners = _corners(places, sizes, values_BSMD.shape[1])
        entries = _entries(corners, weights)
        batch, num_queries, heads = places.shape[:3]
        width = values_BSMD.shape[3]
        shape = batch * num_queries * heads, -1
        found = F.embedding_bag(
            corners.rows.view(shape), values_BSMD.reshape(-1, width), mode="sum", per_sample_weights=entries.view(shape)
        )
        return found.view(batch, num_queries, heads * width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of values, places and weights."""
        from scipy.sparse import csr_matrix  # training needs it alone, and it takes long to import

        values_BSMD, places, weights = ctx.saved_tensors
        width = values_BSMD.shape[3]
        corners = _corners(places, ctx.sizes, values_BSMD.shape[1])
        entries = _entries(corners, weights)
        gradient_RD, values_KD = gradient.reshape(-1, width), values_BSMD.reshape(-1, width)
        shape = len(gradient_RD), len(values_KD)
        ends = torch.arange(0, entries.numel() + 1, entries.numel() // len(gradient_RD), dtype=torch.int32)
        matrix = csr_matrix((entries.view(-1).numpy(), corners.rows.view(-1).numpy(), ends.numpy()), shape)
        of_values = torch.from_numpy(matrix.T @ gradient_RD.numpy()).view_as(values_BSMD)
        pattern = torch.sparse_csr_tensor(ends, corners.rows.view(-1), entries.view(-1), shape, check_invariants=False)
        of_entries = torch.sparse.sampled_addmm(pattern, gradient_RD, values_KD.T, beta=0.0).values().view_as(entries)
        return of_values, *_through_corners(corners, weights, of_entries, ctx.sizes), None


def _entries(corners: Corners, weights: Tensor) -> Tensor:
    entries = weights.new_empty(corners.rows.shape)
    for line, vertical in ((0, corners.above), (2, corners.below)):
        weighted = vertical * weights
        torch.mul(weighted, corners.left, out=entries[:, :, :, line])
        torch.mul(weighted, corners.right, out=entries[:, :, :, line + 1])
    return entries


def _through_corners(
    corners: Corners, weights: Tensor, of_entries: Tensor, sizes: list[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """The gradients of places and weights, from those of the matrix's entries."""
    upper_left, upper_right, lower_left, lower_right = of_entries.unbind(3)
    upper = upper_left * corners.left + upper_right * corners.right
    lower = lower_left * corners.left + lower_right * corners.right
    of_weights = upper * corners.above + lower * corners.below
    of_y = (lower.mul_(corners.is_below) - upper.mul_(corners.is_above)).mul_(weights)
    on_right = (upper_right * corners.above + lower_right * corners.below).mul_(corners.is_right)
    on_left = (upper_left * corners.above + lower_left * corners.below).mul_(corners.is_left)
    of_x = on_right.sub_(on_left).mul_(weights)
    scale = weights.new_tensor([(width, height) for height, width in sizes])
    return torch.stack([of_x, of_y], -1).mul_(scale[:, None]), of_weights


class ByLevel(torch.autograd.Function):
    """The form for any other device: `grid_sample` level by level, whose samples are not kept."""

    @staticmethod
    def forward(ctx: Any, values_BSMD: Tensor, places: Tensor, weights: Tensor, sizes: list[tuple[int, int]]) -> Tensor:
        """Sum values; only the inputs are kept for the backward pass."""
        ctx.save_for_backward(values_BSMD, places, weights)
        ctx.sizes = sizes
        batch, _, heads, width = values_BSMD.shape
        found = values_BSMD.new_zeros(batch * heads, width, places.shape[1])
        for values, grid, weight, _, _ in _levels(values_BSMD, places, weights, sizes):
            samples = F.grid_sample(values, grid, align_corners=False)
            for point in range(grid.shape[2]):
                found.addcmul_(samples[..., point], weight[..., point])
        return found.view(batch, heads * width, -1).transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of values, places and weights."""
        values_BSMD, places, weights = ctx.saved_tensors
        batch, _, heads, width = values_BSMD.shape
        of_values, of_places, of_weights = (torch.empty_like(one) for one in (values_BSMD, places, weights))
        gradient_NDQ = gradient.view(batch, -1, heads, width).permute(0, 2, 3, 1).flatten(0, 1)
        for values, grid, weight, level, keys in _levels(values_BSMD, places, weights, ctx.sizes):
            samples = F.grid_sample(values, grid, align_corners=False)
            of_weight = torch.einsum("ndqp,ndq->nqp", samples, gradient_NDQ)
            of_weights[:, :, :, level] = of_weight.unflatten(0, (batch, heads)).transpose(1, 2)
            of_level, of_grid = torch.ops.aten.grid_sampler_2d_backward(
                gradient_NDQ[..., None] * weight, values, grid, 0, 0, False, [True, True]
            )
            of_values[:, keys] = of_level.view(batch, heads, width, -1).permute(0, 3, 1, 2)
            of_places[:, :, :, level] = 2 * of_grid.unflatten(0, (batch, heads)).transpose(1, 2)
        return of_values, of_places, of_weights, None


def _levels(
    values_BSMD: Tensor, places: Tensor, weights: Tensor, sizes: list[tuple[int, int]]
) -> Iterator[tuple[Tensor, Tensor, Tensor, int, slice]]:
    """Each level's values [B * M, D, h, w], sampling grid [B * M, Q, P, 2], weights [B * M, 1, Q, P], and its keys."""
    keys = [slice(*ends) for ends in pairwise(_starts(sizes))]
    for level, (own, size) in enumerate(zip(keys, sizes, strict=True)):
        values = values_BSMD[:, own].permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, size)
        grid = (2 * places[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        yield values, grid, weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None], level, own
